"""Strategies: one file per algorithm, with the client's half and the server's, named after it."""

from fedlearn_helpers.strategies.comparison import Comparison, compare
from fedlearn_helpers.strategies.experiment import Outcome, federate
from fedlearn_helpers.strategies.local import LocalTraining, Recipe
from fedlearn_helpers.strategies.methods import METHODS, new_strategy

__all__ = ["METHODS", "Comparison", "LocalTraining", "Outcome", "Recipe", "compare", "federate", "new_strategy"]

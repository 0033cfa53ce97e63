"""One file per algorithm, with the client's half and the server's, named after it."""

from fedlearn_helpers.algorithms.local import LocalTraining, Recipe
from fedlearn_helpers.algorithms.registry import METHODS, new_strategy

__all__ = ["METHODS", "LocalTraining", "Recipe", "new_strategy"]

"""The lesson of notebook 05: its parameters, exercises, recall questions and figures."""

from fedlearn_helpers.lessons.common.parameters import split_names
from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.strategies import exercises, figures
from fedlearn_helpers.lessons.strategies.parameters import check_parameters, split_rates
from fedlearn_helpers.lessons.strategies.recall import recall

__all__ = [
    "check_parameters",
    "exercises",
    "figures",
    "recall",
    "split_names",
    "split_rates",
    "write_results",
]

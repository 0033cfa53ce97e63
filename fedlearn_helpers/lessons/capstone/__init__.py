"""The lesson of notebook 12: its parameters, exercises, figures and recall questions."""

from fedlearn_helpers.lessons.capstone import exercises, figures
from fedlearn_helpers.lessons.capstone.parameters import check_parameters
from fedlearn_helpers.lessons.capstone.recall import recall
from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.common.words import spread

__all__ = ["check_parameters", "exercises", "figures", "recall", "spread", "write_results"]

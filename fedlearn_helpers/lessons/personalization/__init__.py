"""The lesson of notebook 06: its parameters, exercises, recall questions and figures."""

from fedlearn_helpers.lessons.common.parameters import split_names
from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.personalization import exercises, figures
from fedlearn_helpers.lessons.personalization.parameters import check_parameters
from fedlearn_helpers.lessons.personalization.recall import recall

__all__ = ["check_parameters", "exercises", "figures", "recall", "split_names", "write_results"]

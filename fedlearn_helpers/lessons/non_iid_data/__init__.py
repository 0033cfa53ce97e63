"""The lesson of notebook 04: its parameters, exercises, figures and recall questions."""

from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.common.verdicts import verdicts
from fedlearn_helpers.lessons.non_iid_data import exercises, figures
from fedlearn_helpers.lessons.non_iid_data.parameters import check_parameters
from fedlearn_helpers.lessons.non_iid_data.recall import recall

__all__ = ["check_parameters", "exercises", "figures", "recall", "verdicts", "write_results"]

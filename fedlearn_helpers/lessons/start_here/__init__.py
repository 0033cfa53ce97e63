"""The lesson of notebook 00: its parameters, exercises, figures and recall questions, and the map of the workbook."""

from fedlearn_helpers.lessons.common import contents
from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.start_here import exercises, figures
from fedlearn_helpers.lessons.start_here.parameters import check_parameters
from fedlearn_helpers.lessons.start_here.recall import recall

__all__ = ["check_parameters", "contents", "exercises", "figures", "recall", "write_results"]

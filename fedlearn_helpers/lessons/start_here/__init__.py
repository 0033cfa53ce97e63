"""The lesson of notebook 00: its parameters, exercises and figures."""

from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.start_here import exercises, figures
from fedlearn_helpers.lessons.start_here.parameters import check_parameters

__all__ = ["check_parameters", "exercises", "figures", "write_results"]

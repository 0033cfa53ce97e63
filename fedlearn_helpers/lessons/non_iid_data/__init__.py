"""The lesson of notebook 04: its parameters, exercises and figures."""

from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.non_iid_data import exercises, figures
from fedlearn_helpers.lessons.non_iid_data.parameters import check_parameters

__all__ = ["check_parameters", "exercises", "figures", "write_results"]

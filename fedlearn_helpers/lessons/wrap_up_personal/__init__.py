"""The wrap-up after notebook 06: its parameters, exercises and figures."""

from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.wrap_up_personal import exercises, figures
from fedlearn_helpers.lessons.wrap_up_personal.parameters import check_parameters

__all__ = ["check_parameters", "exercises", "figures", "write_results"]

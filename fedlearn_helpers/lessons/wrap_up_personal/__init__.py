"""The wrap-up after notebook 06: its parameters, exercises, experiments and figures."""

from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.wrap_up_personal import exercises, experiments, figures
from fedlearn_helpers.lessons.wrap_up_personal.parameters import check_parameters

__all__ = ["check_parameters", "exercises", "experiments", "figures", "write_results"]

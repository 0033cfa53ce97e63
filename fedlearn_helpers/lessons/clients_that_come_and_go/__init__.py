"""The lesson of notebook 03: its parameters, exercises and figures."""

from fedlearn_helpers.lessons.clients_that_come_and_go import exercises, figures
from fedlearn_helpers.lessons.clients_that_come_and_go.parameters import check_parameters
from fedlearn_helpers.lessons.common.results import write_results

__all__ = ["check_parameters", "exercises", "figures", "write_results"]

"""The lesson of notebook 03: its parameters, exercises, figures and recall questions."""

from fedlearn_helpers.lessons.clients_that_come_and_go import exercises, figures
from fedlearn_helpers.lessons.clients_that_come_and_go.parameters import check_parameters
from fedlearn_helpers.lessons.clients_that_come_and_go.recall import recall
from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.common.verdicts import verdicts

__all__ = ["check_parameters", "exercises", "figures", "recall", "verdicts", "write_results"]

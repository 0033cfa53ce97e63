"""The lesson of notebook 02: its parameters, exercises, recall questions and figures."""

from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.federated_averaging import exercises, figures
from fedlearn_helpers.lessons.federated_averaging.parameters import check_parameters
from fedlearn_helpers.lessons.federated_averaging.recall import recall

__all__ = ["check_parameters", "exercises", "figures", "recall", "write_results"]

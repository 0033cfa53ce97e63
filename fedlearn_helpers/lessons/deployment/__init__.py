"""The lesson of notebook 10: its parameters, exercises, figures and recall questions."""

from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.deployment import exercises, figures
from fedlearn_helpers.lessons.deployment.parameters import check_parameters
from fedlearn_helpers.lessons.deployment.recall import recall

__all__ = ["check_parameters", "exercises", "figures", "recall", "write_results"]

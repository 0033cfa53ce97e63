"""The lesson of notebook 01: its parameters, exercises, figures and recall questions."""

from fedlearn_helpers.lessons.centralized_cnn import exercises, figures
from fedlearn_helpers.lessons.centralized_cnn.parameters import check_parameters
from fedlearn_helpers.lessons.centralized_cnn.recall import recall
from fedlearn_helpers.lessons.centralized_cnn.stopping import kept_and_ended
from fedlearn_helpers.lessons.common.results import write_results

__all__ = ["check_parameters", "exercises", "figures", "kept_and_ended", "recall", "write_results"]

"""The lesson of notebook 07: its parameters, exercises, figures and recall questions."""

from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.communication import exercises, figures
from fedlearn_helpers.lessons.communication.parameters import check_images, check_parameters
from fedlearn_helpers.lessons.communication.recall import recall

__all__ = ["check_images", "check_parameters", "exercises", "figures", "recall", "write_results"]

"""The lesson of notebook 09: its parameters, exercises, figures and recall questions."""

from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.robustness import exercises, figures
from fedlearn_helpers.lessons.robustness.parameters import check_images, check_parameters
from fedlearn_helpers.lessons.robustness.recall import recall

__all__ = ["check_images", "check_parameters", "exercises", "figures", "recall", "write_results"]

"""The lesson of notebook 11: its parameters, exercises, figures and recall questions."""

from fedlearn_helpers.lessons.common.results import write_results
from fedlearn_helpers.lessons.common.words import spread
from fedlearn_helpers.lessons.hospitals import exercises, figures
from fedlearn_helpers.lessons.hospitals.measures import or_nan
from fedlearn_helpers.lessons.hospitals.parameters import check_hospitals, check_parameters
from fedlearn_helpers.lessons.hospitals.recall import recall

__all__ = [
    "check_hospitals",
    "check_parameters",
    "exercises",
    "figures",
    "or_nan",
    "recall",
    "spread",
    "write_results",
]

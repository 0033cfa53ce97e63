"""The exercises of notebook 11, a file for each: what a wrong answer has got wrong, and the exercise."""

from fedlearn_helpers.lessons.hospitals.exercises.inputs import bug_hunt
from fedlearn_helpers.lessons.hospitals.exercises.median import median_by_counts
from fedlearn_helpers.lessons.hospitals.exercises.pooled_deviation import pooled_deviation
from fedlearn_helpers.lessons.hospitals.exercises.shapley_values import shapley_by_hand
from fedlearn_helpers.lessons.hospitals.exercises.thresholds import threshold

__all__ = ["bug_hunt", "median_by_counts", "pooled_deviation", "shapley_by_hand", "threshold"]

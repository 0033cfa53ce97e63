"""Averages, tables of predictions and paired differences. No PyTorch needed to read them."""

from fedlearn_helpers.metrics.averages import check_weights, weighted_average
from fedlearn_helpers.metrics.classes import accuracy_by_frequency, accuracy_per_class, confusion_matrix
from fedlearn_helpers.metrics.over_time import last_quarter, values_at
from fedlearn_helpers.metrics.paired import errors_needed, is_clear, standard_error

__all__ = [
    "accuracy_by_frequency",
    "accuracy_per_class",
    "check_weights",
    "confusion_matrix",
    "errors_needed",
    "is_clear",
    "last_quarter",
    "standard_error",
    "values_at",
    "weighted_average",
]

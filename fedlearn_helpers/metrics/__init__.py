"""Averages and tables of predictions. No PyTorch needed to read them."""

from fedlearn_helpers.metrics.averages import check_weights, weighted_average
from fedlearn_helpers.metrics.classes import accuracy_per_class, confusion_matrix

__all__ = ["accuracy_per_class", "check_weights", "confusion_matrix", "weighted_average"]

"""Averages, tables of predictions, curves, intervals and calibration. No PyTorch needed to read them."""

from fedlearn_helpers.metrics.averages import check_weights, weighted_average
from fedlearn_helpers.metrics.calibration import (
    Bin,
    brier_score,
    calibration_in_the_large,
    calibration_intercept,
    calibration_slope,
    errors_of_calibrated,
    expected_calibration_error,
    reliability_table,
    shift_log_odds,
)
from fedlearn_helpers.metrics.classes import accuracy_by_frequency, accuracy_per_class, confusion_matrix
from fedlearn_helpers.metrics.intervals import Interval, auc_interval, paired_difference, wilson
from fedlearn_helpers.metrics.over_time import last_quarter, values_at
from fedlearn_helpers.metrics.paired import errors_needed, is_clear, standard_error
from fedlearn_helpers.metrics.roc import (
    AtThreshold,
    RocCurve,
    at_threshold,
    auc,
    roc_curve,
    threshold_for_sensitivity,
)

__all__ = [
    "AtThreshold",
    "Bin",
    "Interval",
    "RocCurve",
    "accuracy_by_frequency",
    "accuracy_per_class",
    "at_threshold",
    "auc",
    "auc_interval",
    "brier_score",
    "calibration_in_the_large",
    "calibration_intercept",
    "calibration_slope",
    "check_weights",
    "confusion_matrix",
    "errors_needed",
    "errors_of_calibrated",
    "expected_calibration_error",
    "is_clear",
    "last_quarter",
    "paired_difference",
    "reliability_table",
    "roc_curve",
    "shift_log_odds",
    "standard_error",
    "threshold_for_sensitivity",
    "values_at",
    "weighted_average",
    "wilson",
]

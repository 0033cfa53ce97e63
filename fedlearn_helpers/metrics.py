"""Averages and tables of predictions. No PyTorch needed to read them."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

Average = Callable[[Sequence[Mapping[str, float]], Sequence[float]], dict[str, float]]


def _with_checks(average: Average) -> Average:
    """Check what is to be averaged, and make Python's numbers of the weights: sums of small integers overflow."""

    @functools.wraps(average)
    def checked(reports: Sequence[Mapping[str, float]], weights: Sequence[float]) -> dict[str, float]:
        if len(reports) == 0:
            raise ValueError("reports must hold at least one report, got none")
        if len(weights) != len(reports):
            raise ValueError(f"weights must have one entry per report ({len(reports)}), got {len(weights)}")
        numbers = np.asarray(weights).tolist()
        if not (all(0 <= weight < math.inf for weight in numbers) and 0 < sum(numbers) < math.inf):
            raise ValueError(f"weights must be finite, >= 0 and not all zero, got {numbers}")
        if any(set(report) != set(reports[0]) for report in reports):
            raise ValueError(f"reports must all have the same metrics, got {[sorted(report) for report in reports]}")
        return average(reports, numbers)

    return checked


@_with_checks
def weighted_average(reports: Sequence[Mapping[str, float]], weights: Sequence[float]) -> dict[str, float]:
    """Average every metric over the reports, each report counting by its weight.

    FedAvg weighs a client by its number of examples, so that every *example* counts the same,
    not every client (McMahan et al. 2017, https://arxiv.org/abs/1602.05629).

    Args:
        reports: one mapping of metric names to values per client; all with the same names.
        weights: one finite number >= 0 per report, not all zero.

    Raises:
        ValueError: no reports, as many weights as reports missing, different metric names,
            or weights that cannot be normalized.
    """
    total = sum(weights)
    return {
        name: sum(weight * report[name] for report, weight in zip(reports, weights, strict=True)) / total
        for name in reports[0]
    }


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Count the examples of each true class (row) by predicted class (column).

    Args:
        labels: (n,) integers in [0, num_classes).
        predictions: (n,) integers in [0, num_classes).
        num_classes: number of classes.

    Returns:
        (num_classes, num_classes) int64; its sum is n, its trace the number of right predictions.

    Raises:
        ValueError: a class outside [0, num_classes), or not one prediction per label.
    """
    labels, predictions = (np.asarray(classes).astype(np.int64) for classes in (labels, predictions))
    if labels.shape != predictions.shape:
        raise ValueError(f"need one prediction per label, got {predictions.shape} and {labels.shape}")
    for name, classes in (("labels", labels), ("predictions", predictions)):
        if ((classes < 0) | (classes >= num_classes)).any():
            none = "; a model whose outputs are not numbers predicts nothing, which is -1"
            raise ValueError(
                f"{name} must be in [0, {num_classes}), got {classes.min()} to {classes.max()}"
                + (none if classes.min() == -1 and name == "predictions" else "")
            )
    flat = np.bincount(labels * num_classes + predictions, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)


def accuracy_per_class(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the share of each class's examples that are predicted right.

    Args:
        labels: (n,) integers in [0, num_classes).
        predictions: (n,) integers in [0, num_classes).
        num_classes: number of classes.

    Returns:
        (num_classes,) shares in [0, 1]; nan for a class without examples.
    """
    examples = np.bincount(labels, minlength=num_classes)
    right = np.bincount(labels[labels == predictions], minlength=num_classes)
    return np.divide(right, examples, out=np.full(num_classes, np.nan), where=examples > 0)

"""Predictions counted class by class."""

import functools
import math
from collections.abc import Callable

import numpy as np

from fedlearn_helpers.errors import check_whole_number

Table = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def _of_classes(table: Table) -> Table:
    """Check what is to be counted, and make int64 of it: in small integers products overflow."""

    @functools.wraps(table)
    def checked(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
        check_whole_number("num_classes", num_classes, 1)
        labels, predictions = _whole_numbers("labels", labels), _whole_numbers("predictions", predictions)
        if labels.shape != predictions.shape:
            raise ValueError(f"need one prediction per label, got {predictions.shape} and {labels.shape}")
        if ((labels < 0) | (labels >= num_classes)).any():
            raise ValueError(f"labels must be in [0, {num_classes}), got {labels.min()} to {labels.max()}")
        return table(labels, predictions, num_classes)

    return checked


def _whole_numbers(name: str, classes: np.ndarray) -> np.ndarray:
    classes = np.asarray(classes)
    if classes.ndim != 1 or classes.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold one whole number per example, got {classes.dtype} of shape {classes.shape}")
    if (wrong := classes[~(np.isfinite(classes) & (classes == np.floor(classes)))]).size:
        raise ValueError(f"{name} must hold one whole number per example, got {wrong[0]}")
    return classes.astype(np.int64)


@_of_classes
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
    if ((predictions < 0) | (predictions >= num_classes)).any():
        none = "; a model whose outputs are not numbers predicts nothing, which is -1"
        raise ValueError(
            f"predictions must be in [0, {num_classes}), got {predictions.min()} to {predictions.max()}"
            + (none if predictions.min() == -1 else "")
        )
    flat = np.bincount(labels * num_classes + predictions, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)


@_of_classes
def accuracy_per_class(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the share of each class's examples that are predicted right.

    Args:
        labels: (n,) integers in [0, num_classes).
        predictions: (n,) integers; others than classes are wrong.
        num_classes: number of classes.

    Returns:
        (num_classes,) shares in [0, 1]; nan for a class without examples.

    Raises:
        ValueError: a label outside [0, num_classes), or not one prediction per label.
    """
    examples = np.bincount(labels, minlength=num_classes)
    right = np.bincount(labels[labels == predictions], minlength=num_classes)
    return np.divide(right, examples, out=np.full(num_classes, np.nan), where=examples > 0)


def accuracy_by_frequency(
    right: np.ndarray, truth: np.ndarray, labels: np.ndarray, share: float
) -> tuple[float, float, float]:
    """Return the accuracy on all examples, on those of a client's frequent classes, and on all others.

    Args:
        right: (n,) whether a model is right on each example.
        truth: (n,) their classes.
        labels: (m,) of the client's training examples.
        share: a class is frequent if it has so many of them, in [0, 1].

    Returns:
        Shares in [0, 1]; nan where there is no such example.
    """
    right, truth, labels = np.asarray(right, dtype=float), np.asarray(truth), np.asarray(labels)
    counts = np.bincount(labels, minlength=int(max(labels.max(), truth.max())) + 1)
    frequent = (counts >= share * len(labels))[truth]
    everything, often, seldom = (
        float(some.mean()) if some.size else math.nan for some in (right, right[frequent], right[~frequent])
    )
    return everything, often, seldom

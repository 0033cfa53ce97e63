"""Rows of two classes: a score for each, higher for a positive one, and its label. What all measures of them check."""

import numpy as np

from fedlearn_helpers.errors import InputError


def check_scored(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scores as float64 (n,) and labels as bool (n,).

    Args:
        scores: (n,) finite, at least one.
        labels: (n,) 0 or 1, False or True.

    Raises:
        InputError: other shapes, no rows, a score that is not finite, or a label that is neither 0 nor 1.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 1 or scores.size == 0 or labels.shape != scores.shape:
        raise InputError(f"scores and labels must be one for each row, got the shapes {scores.shape}, {labels.shape}")
    if scores.dtype.kind not in "biuf" or not np.isfinite(scores).all():
        raise InputError("scores must be finite numbers alone")
    if labels.dtype.kind not in "biuf" or not ((labels == 0) | (labels == 1)).all():
        raise InputError("labels must be 0 or 1 alone")
    return scores.astype(np.float64), labels.astype(bool)


def check_both_classes(labels: np.ndarray, what: str) -> None:
    """Raise an InputError unless there are rows of both classes.

    Args:
        labels: (n,) bool.
        what: cannot be computed otherwise, for the message.
    """
    if labels.all() or not labels.any():
        counts = f"{int(labels.sum())} positive and {int((~labels).sum())} negative rows"
        raise InputError(f"labels must hold both classes for {what}, got {counts}")


def check_probabilities(probabilities: np.ndarray) -> None:
    """Raise an InputError unless all are in [0, 1]; they are float64 (n,), finite."""
    if ((probabilities < 0) | (probabilities > 1)).any():
        limits = f"{probabilities.min():g} to {probabilities.max():g}"
        raise InputError(f"probabilities must be >= 0 and <= 1, got {limits}")

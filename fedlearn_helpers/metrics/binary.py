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
    for name, values in (("scores", scores), ("labels", labels)):
        if values.dtype.kind not in "biuf":
            raise InputError(f"{name} must be finite numbers alone, got values of the type {values.dtype.name}")
    if (wrong := scores[~np.isfinite(scores)]).size:
        raise InputError(f"scores must be finite numbers alone, got {wrong[0]}")
    if (wrong := labels[(labels != 0) & (labels != 1)]).size:
        raise InputError(f"labels must be 0 or 1 alone, got {wrong[0]}")
    return scores.astype(np.float64), labels.astype(bool)


def counts_by_score(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each score once, falling, and how many positive and how many negative rows have at least that score.

    Args:
        scores: (n,) float64, finite.
        labels: (n,) bool.
    """
    falling = np.argsort(-scores)
    last_of_equals = np.append(np.diff(scores[falling]) != 0, True)
    counts = (np.cumsum(labels[falling]), np.cumsum(~labels[falling]))
    return scores[falling][last_of_equals], counts[0][last_of_equals], counts[1][last_of_equals]


def check_positive_rows(labels: np.ndarray, what: str) -> None:
    """Raise an InputError unless there is a positive row.

    Args:
        labels: (n,) bool.
        what: cannot be computed otherwise, for the message.
    """
    if not labels.any():
        raise InputError(f"labels must hold a positive row for {what}, got {labels.size} negative rows")


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

"""How many examples of each class every client has."""

from collections.abc import Sequence

import numpy as np

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.partition.checks import check_labels


def class_counts(labels: np.ndarray, parts: Sequence[np.ndarray], num_classes: int) -> np.ndarray:
    """Count the examples of each class (column) at each client (row): (clients, classes) int64.

    Args:
        labels: (n,) integers in [0, num_classes).
        parts: one array of indices per client.
        num_classes: number of classes.

    Raises:
        InputError: labels that are no whole numbers in that range, or no whole number of classes.
    """
    check_whole_number("num_classes", num_classes, 1)
    labels = check_labels(labels)
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        raise InputError(f"labels must be in [0, {num_classes}), got {labels.min()} to {labels.max()}")
    return np.array([np.bincount(labels[part], minlength=num_classes) for part in parts])

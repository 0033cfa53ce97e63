"""A measure that not every test set has."""

import math
from collections.abc import Callable

import numpy as np

from fedlearn_helpers.errors import InputError


def or_nan(measure: Callable[[np.ndarray, np.ndarray], float], p: np.ndarray, labels: np.ndarray) -> float:
    """Return a measure of probabilities (n,) and labels (n,); nan where it has none, such as the AUC of one class."""
    try:
        return float(measure(p, labels))
    except InputError:
        return math.nan

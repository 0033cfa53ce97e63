"""Small measures that the notebook needs in many places."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from fedlearn_helpers.errors import InputError


def or_nan(measure: Callable[[np.ndarray, np.ndarray], float], p: np.ndarray, labels: np.ndarray) -> float:
    """Return a measure of probabilities (n,) and labels (n,); nan where it has none, such as the AUC of one class."""
    try:
        return float(measure(p, labels))
    except InputError:
        return math.nan


def spread(values: Sequence[float] | np.ndarray, decimals: int = 1) -> str:
    """Return the mean and the range of values, such as "+1.2 (-0.3 to +2.0)"; nan is left out."""
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    if not len(known):
        return "not measurable"
    return f"{known.mean():+.{decimals}f} ({known.min():+.{decimals}f} to {known.max():+.{decimals}f})"

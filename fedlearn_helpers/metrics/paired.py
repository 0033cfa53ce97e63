"""Paired differences over seeds: which of them are clear."""

import math
from collections.abc import Sequence

import numpy as np

# Student's two-sided 95 % values, for 2, 3, 4 … differences: 1, 2, 3 … degrees of freedom
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def errors_needed(count: int) -> float:
    """Return how many standard errors the mean of so many differences must be from 0, to be clear.

    It is Student's two-sided 95 % value. For more than ten differences it is that for ten, which is a little strict;
    for fewer than two there is no such number: infinity.
    """
    return _STUDENT[min(count - 2, len(_STUDENT) - 1)] if count >= 2 else math.inf


def standard_error(differences: Sequence[float]) -> float:
    """Return the standard error of the mean: the standard deviation over the root of the number, nan for one value."""
    values = np.asarray(differences, dtype=float)
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def is_clear(differences: Sequence[float]) -> bool:
    """Say whether a paired difference is clear.

    It is if all seeds have the same sign, and the mean is more than `errors_needed` standard errors from 0. It asks
    whether other seeds would agree: it is not for the clients or the images of one run.

    Args:
        differences: one for each seed: what one method reaches less what another reaches with the same seed and data.
            With a nan among them (a run that diverged) the difference is not clear.
    """
    values = np.asarray(differences, dtype=float)
    if len(values) < 2 or not ((values > 0).all() or (values < 0).all()):
        return False
    return bool(abs(values.mean()) > errors_needed(len(values)) * standard_error(differences))

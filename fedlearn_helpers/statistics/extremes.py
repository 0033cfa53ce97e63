"""Why a federation shows no minimum and no maximum, and what it shows in their place.

A sum is made of many rows. A maximum is one row: the oldest patient's age. Not to ask for it does not help, since

    maximum = the smallest t with count(values <= t) = n

is a quantile, and bisection on harmless-looking counts finds it. What protects is a rule about which totals may be
known at all: each side of a threshold has at least k rows. A side without rows is no exception: then whether a
question is refused would tell the maximum. So bisection finds the k-th largest value, which k rows stand behind. A
secure sum does not check that: nobody sees the total before it is known.

In their place: the 5 % and 95 % quantiles, if k rows are at or beyond each. Each is still the value of a row, to a
step. But it says of k rows only on which side they are.
"""

from collections.abc import Sequence

import numpy as np

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.statistics.columns import Number
from fedlearn_helpers.statistics.quantiles import quantiles, value_counts
from fedlearn_helpers.statistics.questions import Ask

LEVELS = (0.05, 0.95)


def extremes_by_counts(ask: Ask, numbers: Sequence[Number]) -> np.ndarray:
    """Return the smallest and the largest value of columns, found by counts alone: an attack.

    Args:
        ask: see `Ask`.
        numbers: m columns.

    Returns:
        float64 (m, 2), to the column's step.

    Raises:
        InputError: as `quantiles`.
    """
    return quantiles(ask, numbers, (0.0, 1.0))


def usual_range(ask: Ask, numbers: Sequence[Number], least: int = 10) -> np.ndarray:
    """Return the 5 % and 95 % quantiles of columns.

    Args:
        ask: see `Ask`; one question more than `quantiles`.
        numbers: m columns.
        least: how many values must be at or beyond each quantile, >= 2.

    Returns:
        float64 (m, 2).

    Raises:
        InputError: a column with too few values, or as `quantiles`.
    """
    check_whole_number("least", least, 2)
    for number, count in zip(numbers, value_counts(ask, numbers).tolist(), strict=True):
        low, high = (max(1, int(np.ceil(count * level))) for level in LEVELS)
        if min(low, count - high + 1) < least:
            raise InputError(
                f"{number.name} must have at least {least} values at or beyond its 5 % and 95 % quantiles, got too few "
                "values for that"
            )
    return quantiles(ask, numbers, LEVELS)

"""Quantiles of all sites' rows, by bisection on counts: how many values are at most t?

    the p-quantile of n values is the smallest value with at least n p values at most as large,
    so the one at rank r = max(1, ceil(n p)) from below                           Hyndman and Fan 1996, definition 1
    low = a number below it, high = one that is not; ask for the count at their middle t:
    at least r values are at most t -> high = t, else low = t + 1 step

Rounding to steps keeps the order of values. So the result is the quantile of pooled data, rounded to a step: it is off
by at most half of one. It takes 1 + log2((high - low) / step + 1) questions, rounded up, for any number of columns and
quantiles together. The quantiles of the sites do not suffice: the median of medians, or their mean, is another number.

A quantile is the value of a row. Counts at thresholds that a server may choose find any row: see `extremes`.
"""

from collections.abc import Sequence

import numpy as np

from fedlearn_helpers.errors import InputError, check_number
from fedlearn_helpers.statistics.columns import Number, Site, asked_about, measured_in_steps
from fedlearn_helpers.statistics.moments import check_measured
from fedlearn_helpers.statistics.questions import Ask, Asked
from fedlearn_helpers.statistics.steps import MOST_STEPS, in_steps

COUNTS_AT_MOST = "counts at most"


def answer_counts_at_most(site: Site, asked: Asked) -> np.ndarray:
    """A site's half: how many values of each of m columns are at most each of k thresholds in steps, int64 (m k,)."""
    columns = measured_in_steps(site, asked)
    return np.concatenate(
        [
            np.searchsorted(np.sort(column), thresholds, side="right").astype(np.int64)
            for column, thresholds in zip(columns, asked["thresholds"], strict=True)
        ]
    )


def quantiles(ask: Ask, numbers: Sequence[Number], levels: Sequence[float]) -> np.ndarray:
    """Return quantiles of columns over all sites.

    Args:
        ask: see `Ask`; at most `most_questions(numbers)` questions.
        numbers: m columns; their low and high are where the search begins.
        levels: k numbers p in [0, 1]; 0 and 1 are the smallest and the largest value.

    Returns:
        float64 (m, k): NumPy's `nanquantile(..., method="inverted_cdf")` of pooled data, rounded to the column's step,
        but to its low or high where a step lies beyond it.

    Raises:
        InputError: a level out of range, a column that nobody measured, or a quantile that is not between low and high.
    """
    for level in levels:
        check_number("levels", level, "numbers from 0 to 1", lambda number: 0 <= number <= 1)
    lowest, highest = (
        np.array([int(in_steps("bounds", np.array(bound), number.step)) for number, bound in bounds], np.int64)
        for bounds in ([(one, one.low) for one in numbers], [(one, one.high) for one in numbers])
    )
    thresholds = np.stack([lowest - 1, highest, np.full_like(highest, MOST_STEPS)], axis=1)
    below, until_highest, counts = _counts(ask, numbers, thresholds).T
    check_measured(numbers, counts)
    ranks = np.maximum(1, np.ceil(counts[:, None] * np.array(levels))).astype(np.int64)
    _check_bounds(numbers, levels, (below[:, None] >= ranks) | (until_highest[:, None] < ranks))
    low = np.repeat(lowest[:, None], len(levels), axis=1)
    high = np.repeat(highest[:, None], len(levels), axis=1)
    while (low < high).any():
        middle = (low + high) // 2
        enough = _counts(ask, numbers, middle) >= ranks
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    lows, highs, steps = np.array([(one.low, one.high, one.step) for one in numbers], np.float64).T[..., None]
    return np.clip(high * steps, lows, highs)  # 6000 steps of 0.0001 are more than 0.6


def most_questions(numbers: Sequence[Number]) -> int:
    """Return how many questions `quantiles` needs for columns, at most."""
    ends = [in_steps("bounds", np.array([one.low, one.high]), one.step).tolist() for one in numbers]
    return 1 + max((high - low).bit_length() for low, high in ends)


def value_counts(ask: Ask, numbers: Sequence[Number]) -> np.ndarray:
    """Return how many values each of m columns has over all sites, int64 (m,)."""
    return _counts(ask, numbers, np.full((len(numbers), 1), MOST_STEPS))[:, 0]


def _counts(ask: Ask, numbers: Sequence[Number], thresholds: np.ndarray) -> np.ndarray:
    """Return the counts at thresholds in steps: int64 (m, k) for int64 (m, k)."""
    return ask(COUNTS_AT_MOST, {**asked_about(numbers), "thresholds": thresholds}).reshape(thresholds.shape)


def _check_bounds(numbers: Sequence[Number], levels: Sequence[float], outside: np.ndarray) -> None:
    for number, wrong in zip(numbers, outside, strict=True):
        if wrong.any():
            level = levels[int(np.argmax(wrong))]
            raise InputError(
                f"the {level:g} quantile of {number.name} must be between its low and high, {number.low:g} and "
                f"{number.high:g}, and is not: take wider ones"
            )

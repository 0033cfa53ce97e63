"""How rows become inputs: what stands for a missing value, and how numbers are scaled; the same at all sites.

    missing number -> the median          missing code -> the most frequent one
    number -> (number - mean) / standard deviation

All four are statistics of the training rows of all sites. Those of one site would give the same patient other inputs
elsewhere; and with test rows in them, a model would be tested on what it knows.

A site that has never measured a column gets the others' median for it: a number to compute with, not knowledge.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.columns import Category, Number
from fedlearn_helpers.statistics.groups import frequencies
from fedlearn_helpers.statistics.moments import moments
from fedlearn_helpers.statistics.quantiles import quantiles
from fedlearn_helpers.statistics.questions import Ask


@dataclass(frozen=True, eq=False)
class Preparation:
    """What all sites do with their rows.

    Attributes:
        fill: in place of a missing value, float64 (d,).
        means, deviations: numbers become (value - mean) / deviation, float64 (d,), all deviations > 0. For codes, which
            stay as they are, 0 and 1; for a number that is the same in all rows, a deviation of 1.
    """

    fill: np.ndarray
    means: np.ndarray
    deviations: np.ndarray


def preparation(ask: Ask, columns: Sequence[Number | Category]) -> Preparation:
    """Return how rows are prepared, from what sites have measured.

    Mean and standard deviation are those of measured values, not of filled ones; the median is the lower one of two.

    Args:
        ask: see `Ask`; its sites must have training rows alone.
        columns: all d columns of the sites' values, each once; the labels are none of them.

    Raises:
        InputError: columns that are not all of d places, a column that no site has measured, or values that are none of
            a column's codes.
    """
    if sorted(column.place for column in columns) != list(range(len(columns))) or not columns:
        places = [column.place for column in columns]
        raise InputError(f"columns must be at least one, with places from 0 on and none twice, got {places}")
    fill, means, deviations = np.zeros(len(columns)), np.zeros(len(columns)), np.ones(len(columns))
    if numbers := [column for column in columns if isinstance(column, Number)]:
        at = [number.place for number in numbers]
        of_values = moments(ask, numbers)
        fill[at] = quantiles(ask, numbers, [0.5])[:, 0]
        means[at], apart = of_values.means(), of_values.deviations()
        deviations[at] = np.where(apart > 0, apart, 1.0)
    if categories := [column for column in columns if isinstance(column, Category)]:
        at = [category.place for category in categories]
        fill[at] = [one.most_frequent() for one in frequencies(ask, categories)]
    return Preparation(fill, means, deviations)

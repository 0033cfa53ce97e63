"""Counts, means and standard deviations of all sites' rows, from one question.

    n = sum 1        S1 = sum q        S2 = sum q^2                       q: a measured value in steps
    mean = S1 / n * step               variance = (n S2 - S1^2) / n^2 * step^2

With floats this formula for the variance is known to lose all digits where the mean is large. Here n S2 - S1^2 is a
whole number and exact, so what is left is the rounding to steps: at most step / 2 of the mean.

The mean of the sites' standard deviations is not the standard deviation of all rows: it misses how far the sites'
means are apart.

    variance = sum n_k/n variance_k  +  sum n_k/n (mean_k - mean)^2       within sites + between sites
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.columns import Number, Site, asked_about, measured_in_steps
from fedlearn_helpers.statistics.questions import Ask, Asked
from fedlearn_helpers.statistics.sums import add_exactly, square_exactly

MOMENTS = "moments"


def answer_moments(site: Site, asked: Asked) -> np.ndarray:
    """A site's half: counts, numbers of missing values, sums and sums of squares of m columns, int64 (4 m,)."""
    columns = measured_in_steps(site, asked)
    counts = np.array([len(column) for column in columns], np.int64)
    sums, squares = [], []
    for place, column in zip(asked["places"], columns, strict=True):
        name = f"column {place} in steps"
        sums.append(add_exactly(name, column))
        squares.append(add_exactly(f"the squares of {name}", square_exactly(name, column)))
    return np.concatenate([counts, len(site.values) - counts, np.array(sums), np.array(squares)])


def moments(ask: Ask, numbers: Sequence[Number]) -> "Moments":
    """Return the moments of columns over all sites, to the last bit those of pooled data.

    Args:
        ask: see `Ask`; one question.
        numbers: m columns; their low and high play no part.

    Raises:
        InputError: no column, a site that has none of them, or sums that are no int64.
    """
    counts, missing, sums, squares = ask(MOMENTS, asked_about(numbers)).reshape(4, -1)
    return Moments(tuple(numbers), counts, missing, sums, squares)


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of m columns; exact, of values rounded to steps.

    Attributes:
        numbers: the columns.
        counts: of values, int64 (m,).
        missing: of rows without a value, int64 (m,).
        sums, squares: of values in steps, and of their squares, int64 (m,).
    """

    numbers: tuple[Number, ...]
    counts: np.ndarray
    missing: np.ndarray
    sums: np.ndarray
    squares: np.ndarray

    def means(self) -> np.ndarray:
        """Return the means, float64 (m,); off by at most half a step.

        Raises:
            InputError: a column that nobody measured.
        """
        return self._each(lambda n, total, squares, step: total / n * step)

    def variances(self) -> np.ndarray:
        """Return the mean squared distances from the mean, float64 (m,), as NumPy's `var` does.

        Raises:
            InputError: a column that nobody measured.
        """
        return self._each(lambda n, total, squares, step: (n * squares - total**2) / n**2 * step**2)

    def deviations(self) -> np.ndarray:
        """Return the standard deviations, float64 (m,), as NumPy's `std` does; off by at most half a step.

        Raises:
            InputError: a column that nobody measured.
        """
        return np.sqrt(self.variances())

    def _each(self, formula: Callable[[int, int, int, float], float]) -> np.ndarray:
        """Return a formula's value for each column; Python's whole numbers have no largest one."""
        check_measured(self.numbers, self.counts)
        parts = zip(self.counts.tolist(), self.sums.tolist(), self.squares.tolist(), self.numbers, strict=True)
        return np.array([formula(n, total, squares, number.step) for n, total, squares, number in parts])


@dataclass(frozen=True, eq=False)
class Spread:
    """What a variance is made of.

    Attributes:
        within: the mean of the sites' variances, weighted by counts, float64 (m,).
        between: the variance of the sites' means, weighted by counts, float64 (m,).
    """

    within: np.ndarray
    between: np.ndarray


def spread(of_sites: Sequence[Moments]) -> Spread:
    """Return the parts of the variance within and between sites; their sum is that of all rows.

    Args:
        of_sites: each site's own moments of the same columns, as only a site that shows them in the clear can give.

    Raises:
        InputError: no site, or a site without values in a column.
    """
    if not of_sites:
        raise InputError("of_sites must be at least one site, got none")
    counts, means = (np.stack(parts) for parts in zip(*((one.counts, one.means()) for one in of_sites), strict=True))
    weights = counts / counts.sum(axis=0)
    mean = (weights * means).sum(axis=0)
    within = (weights * np.stack([one.variances() for one in of_sites])).sum(axis=0)
    return Spread(within, (weights * (means - mean) ** 2).sum(axis=0))


def check_measured(numbers: Sequence[Number], counts: np.ndarray) -> None:
    """Raise an InputError that names the columns of which no site has a value."""
    if none := [number.name for number, count in zip(numbers, counts.tolist(), strict=True) if not count]:
        raise InputError(f"every column must have been measured by a site, got no value of {', '.join(none)}")

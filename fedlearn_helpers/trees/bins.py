"""Bins that are the same at every site: from counts on a fine grid that needs nobody's data.

    edges e_1 < … < e_{B-1} of a feature        bin(x) = number of edges below x        bin(missing) = B

so bin b holds e_b < x <= e_{b+1}. The server asks once, for counts on a grid of CELLS equal cells between the lowest
and the highest value that the feature can have, such as an age from 0 to 128. Where at most B cells hold values, each
has a bin of its own. Else the edges are the grid's nearest to the B-quantiles: approximate quantiles in the sense of
Chen and Guestrin 2016, https://arxiv.org/abs/1603.02754, section 3.2, with every row of weight 1. An edge lies in the
middle between the cells with values on its left and on its right.

Counts are whole numbers: the edges are those of the pooled data, to the last bit.
"""

import numpy as np

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.statistics.columns import Site
from fedlearn_helpers.statistics.labelled import labelled_rows
from fedlearn_helpers.statistics.questions import Ask, Asked

COUNTS_IN_BINS = "counts in bins"

CELLS = 256
_LARGEST = 1e300  # the difference and the sum of two such numbers are finite
MOST_BINS = 31  # of values; with that of missing ones 32


def check_num_bins(num_bins: int) -> None:
    """Raise an InputError unless it is a whole number from 2 to 31."""
    if check_whole_number("num_bins", num_bins, 2) > MOST_BINS:
        raise InputError(f"num_bins must be <= {MOST_BINS}, got {num_bins}")


def bin_of(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the bin of each value.

    Args:
        values: (n, d), NaN where missing.
        edges: (d, B - 1), ascending; infinite where a feature has fewer.

    Returns:
        (n, d) int64 from 0 to B; B where a value is missing.
    """
    bins = np.stack([np.searchsorted(of_one, column) for of_one, column in zip(edges, values.T, strict=True)], axis=1)
    return np.where(np.isnan(values), edges.shape[1] + 1, bins)


def answer_counts_in_bins(site: Site, asked: Asked) -> np.ndarray:
    """A site's half: how many values of each feature are in each bin.

    Args:
        site: its n rows of d features.
        asked: `edges` (d, B - 1).

    Returns:
        int64, (d (B + 1),): per feature the B bins, then the missing values.
    """
    values, _ = labelled_rows(site)
    edges = asked["edges"]
    check_features(values, len(edges))
    features, num_bins = len(edges), edges.shape[1] + 1
    counts = np.zeros((features, num_bins + 1), np.int64)
    np.add.at(counts, (np.arange(features), bin_of(values, edges)), 1)
    return counts.ravel()


def check_features(values: np.ndarray, features: int) -> None:
    """Raise an InputError unless values (n, d) have so many features."""
    if values.shape[1] != features:
        raise InputError(f"values must have the {features} features that are asked about, got {values.shape[1]}")


def bin_edges(ask: Ask, ranges: np.ndarray, num_bins: int) -> np.ndarray:
    """Return the edges that all sites use: the server's half, one question.

    Args:
        ask: knows `COUNTS_IN_BINS`.
        ranges: (d, 2) lowest and highest value that each feature can have. They are known without the data, which is
            why they tell nothing. Values beyond are counted in the first or the last cell.
        num_bins: B for values, from 2 to 31; missing values have one more.

    Returns:
        float64 (d, B - 1), ascending; infinite where a feature has fewer than B bins.

    Raises:
        InputError: an argument out of range, or no site has a row.
    """
    ranges = np.asarray(ranges, np.float64)
    fits = ranges.ndim == 2 and ranges.shape[1] == 2 and (np.abs(ranges) <= _LARGEST).all()
    if not (fits and (np.diff(ranges) > 0).all()):
        raise InputError("ranges must have a lowest value below a highest one for each feature, from -1e300 to 1e300")
    check_num_bins(num_bins)
    grid = np.linspace(ranges[:, 0], ranges[:, 1], CELLS + 1, axis=1)
    counts = ask(COUNTS_IN_BINS, {"edges": grid[:, 1:-1]}).reshape(len(ranges), CELLS + 1)
    if counts[0].sum() == 0:
        raise InputError("at least one site must have rows, got none")
    edges = np.full((len(ranges), num_bins - 1), np.inf)
    for feature, cells in enumerate(counts[:, :CELLS]):
        found = _edges_of(cells, grid[feature], num_bins)
        edges[feature, : len(found)] = found
    return edges


def _edges_of(cells: np.ndarray, grid: np.ndarray, num_bins: int) -> np.ndarray:
    """Return up to num_bins - 1 edges of one feature from its counts (CELLS,) on a grid (CELLS + 1,)."""
    (filled,) = np.nonzero(cells)
    last = filled[:-1]  # cells behind which an edge can lie: with values on both sides
    if len(filled) > num_bins:
        below = cells.cumsum()
        quantiles = np.arange(1, num_bins) * below[-1]  # in 1 / num_bins of a row: whole numbers have no rounding
        last = np.intersect1d(last, np.searchsorted(below * num_bins, quantiles))
    following = filled[np.searchsorted(filled, last) + 1]
    return (grid[last + 1] + grid[following]) / 2

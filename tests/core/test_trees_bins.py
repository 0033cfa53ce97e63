"""Bins: the same edges from any spread of the rows, each value in one bin, missing ones in their own."""

import numpy as np
import pytest
from few_rows import Rows, pooled, spread, table

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.asking import in_process
from fedlearn_helpers.trees.bins import COUNTS_IN_BINS, answer_counts_in_bins, bin_edges, bin_of

ANSWERS = {COUNTS_IN_BINS: answer_counts_in_bins}
RANGES = np.tile([0.0, 8.0], (4, 1))


def edges_of(sites, ranges=RANGES, num_bins=8):
    return bin_edges(in_process(sites, ANSWERS), ranges, num_bins)


def one_column(values, labels=None):
    values = np.asarray(values, float).reshape(-1, 1)
    return Rows(values, np.zeros(len(values), np.int64) if labels is None else labels)


@pytest.mark.parametrize("seed", range(5))
def test_edges_are_those_of_the_pooled_rows(seed):
    rows = table(seed)
    expected = edges_of([rows])
    for sites in (spread(rows, seed), spread(rows, seed + 1, 7), [rows, rows.only([])]):
        assert np.array_equal(edges_of(sites), expected)
    assert not np.array_equal(edges_of([rows.only(slice(0, 50))], num_bins=3), edges_of([rows], num_bins=3))


def test_few_values_have_a_bin_each_and_edges_in_the_middle():
    edges = edges_of([one_column([1, 2, 2, 4, np.nan])], RANGES[:1], 8)
    assert edges.shape == (1, 7)
    cell = 8 / 256  # a value is somewhere in its cell
    assert edges[0, :2].tolist() == [(1 + 2 - cell) / 2, (2 + 4 - cell) / 2]
    assert np.isinf(edges[0, 2:]).all()
    assert bin_of(np.array([[1.0], [2.0], [4.0], [np.nan], [-5.0], [99.0]]), edges).ravel().tolist() == [
        0,
        1,
        2,
        8,
        0,
        2,
    ]


def test_a_value_on_an_edge_is_in_the_lower_bin():
    assert bin_of(np.array([[1.0], [np.nextafter(1, 2)]]), np.array([[1.0, 2.0]])).ravel().tolist() == [0, 1]


def test_many_values_are_cut_into_equal_shares():
    values = np.random.default_rng(0).exponential(1, 10_000)
    rows = one_column(values)
    edges = edges_of([rows], np.array([[0.0, 16.0]]), 8)
    assert np.isfinite(edges).all() and (np.diff(edges) > 0).all()
    expected = np.quantile(values, np.arange(1, 8) / 8)
    assert np.abs(edges[0] - expected).max() < 16 / 256
    counts = answer_counts_in_bins(rows, {"edges": edges})
    assert counts.sum() == 10_000 and counts[-1] == 0
    assert counts[:-1].min() > 700  # equal widths would leave 3 in the last
    wide = answer_counts_in_bins(rows, {"edges": np.linspace(0, 16, 9)[None, 1:-1]})
    assert wide[:-1].min() < 10


@pytest.mark.parametrize("values", [[np.nan] * 5, [3.0] * 5, [3.0, np.nan]])
def test_a_column_with_at_most_one_value_has_no_edge(values):
    assert np.isinf(edges_of([one_column(values)], RANGES[:1])).all()


def test_counts_are_those_of_a_loop():
    rows = pooled(spread(table(3)))
    edges = edges_of([rows], num_bins=5)
    expected = np.zeros((4, 6), int)
    for row in rows.values:
        for column, value in enumerate(row):
            expected[column, 5 if np.isnan(value) else sum(edge < value for edge in edges[column])] += 1
    counts = answer_counts_in_bins(rows, {"edges": edges})
    assert counts.dtype == np.int64
    assert counts.tolist() == expected.ravel().tolist()


@pytest.mark.parametrize(
    ("ranges", "num_bins", "words"),
    [
        (RANGES, 1, "num_bins must be a whole number >= 2, got 1"),
        (RANGES, 32, "num_bins must be <= 31, got 32"),
        (RANGES[0], 8, "ranges must have"),
        (RANGES[:, ::-1], 8, "ranges must have"),
        (np.full((4, 2), np.nan), 8, "ranges must have"),
        (np.tile([-1e308, 1e308], (4, 1)), 8, "ranges must have .* from -1e300 to 1e300"),
        (np.tile([-np.inf, 1.0], (4, 1)), 8, "ranges must have"),
        (RANGES[:3], 8, "values must have the 3 features that are asked about, got 4"),
    ],
)
def test_arguments_out_of_range(ranges, num_bins, words):
    with pytest.raises(InputError, match=words):
        edges_of([table()], ranges, num_bins)


@pytest.mark.parametrize(
    ("values", "labels", "words"),
    [
        (np.array([[np.inf]]), np.array([0]), "finite"),
        (np.array([[1.0]]), np.array([2]), "labels must be 0 or 1, got 2"),
        (np.array([[1.0]]), np.array([np.nan]), "labels must be 0 or 1, got nan"),
        (np.array([[1.0]]), np.array([0, 1]), "labels must be one for each of 1 rows"),
        (np.array([1.0]), np.array([0]), "shape"),
        (np.array([[1]]), np.array([0]), "float64"),
    ],
)
def test_rows_that_are_none(values, labels, words):
    with pytest.raises(InputError, match=words):
        edges_of([Rows(values, labels)], RANGES[:1])


def test_no_rows_at_all():
    with pytest.raises(InputError, match="at least one site must have rows"):
        edges_of([table().only([])] * 2)

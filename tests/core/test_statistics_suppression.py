"""Small counts are hidden, and so are the totals that give them away."""

import numpy as np
import pytest

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.suppression import HIDDEN, difference_reveals, hide_small, publish, recover

TABLE = np.array([[20, 3, 0], [15, 30, 12], [1, 9, 2]])


def test_counts_from_one_to_least_are_hidden():
    assert hide_small(TABLE, 5).tolist() == [[20, HIDDEN, 0], [15, 30, 12], [HIDDEN, 9, HIDDEN]]
    assert hide_small(np.array([0, 1, 2]), 2).tolist() == [0, HIDDEN, 2]
    assert hide_small(np.array([4, 5]), 5).tolist() == [HIDDEN, 5]


def test_totals_give_hidden_cells_away():
    cells = hide_small(TABLE, 5)
    assert (recover(cells, TABLE.sum(axis=1), TABLE.sum(axis=0)) == TABLE).all()
    with_rows_alone = recover(cells, TABLE.sum(axis=1), np.full(3, HIDDEN))
    assert with_rows_alone.tolist() == [[20, 3, 0], [15, 30, 12], [HIDDEN, 9, HIDDEN]]


def test_four_hidden_cells_in_a_square_are_not_given_away_by_single_lines():
    table = np.array([[1, 2, 9], [3, 1, 9], [9, 9, 9]])
    cells = hide_small(table, 5)
    assert (recover(cells, table.sum(axis=1), table.sum(axis=0)) == cells).all()


def test_what_is_published_gives_nothing_away():
    shown = publish(TABLE, 5)
    assert shown.row_totals.tolist() == [HIDDEN, 57, HIDDEN]
    assert shown.column_totals.tolist() == [HIDDEN] * 3
    assert shown.total == HIDDEN
    assert (recover(shown.cells, shown.row_totals, shown.column_totals) == shown.cells).all()
    rng = np.random.default_rng(0)
    for _ in range(200):
        first, second = rng.poisson(8, (2, 4, 5))
        second = np.where(hide_small(first, 5) == HIDDEN, rng.integers(1, 5, first.shape), first)
        one, other = publish(first, 5), publish(second, 5)  # tables that differ in hidden cells alone look the same
        assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one))


def test_a_table_without_small_counts_is_shown_with_all_totals():
    shown = publish(TABLE * 10, 5)
    assert shown.total == TABLE.sum() * 10
    assert shown.row_totals.tolist() == (TABLE.sum(axis=1) * 10).tolist()
    assert shown.column_totals.tolist() == (TABLE.sum(axis=0) * 10).tolist()


def test_two_totals_that_differ_by_few_rows_reveal_them():
    assert difference_reveals(np.array([100, 100, 100, 100]), np.array([99, 95, 100, 104]), 5).tolist() == [
        True,
        False,
        False,
        True,
    ]
    assert (hide_small(np.array([100, 99]), 5) == [100, 99]).all()  # each alone may be shown


def test_bad_input():
    with pytest.raises(InputError, match="least must be a whole number >= 2"):
        hide_small(TABLE, 1)
    with pytest.raises(InputError, match="least must be a whole number >= 2"):
        difference_reveals(TABLE, TABLE, 0)
    for counts in (TABLE * 1.0, -TABLE):
        with pytest.raises(InputError, match="counts must be whole numbers >= 0 of dtype int64"):
            hide_small(counts, 5)
    with pytest.raises(InputError, match=r"counts must have the shape \(r, c\), got \(3,\)"):
        publish(TABLE[0], 5)

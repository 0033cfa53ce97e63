"""Small counts: a count of 1 is a person. Which cells of a table are hidden, and what totals give away all the same.

    hidden: cells from 1 to k - 1                     (0 is shown: it names nobody, though it says something of all)
    a row's total - its visible cells = the sum of its hidden ones

So one hidden cell in a row or column is no secret where the total is shown. Here a total is shown only where all of
its cells are: it then says nothing that the cells do not. The usual other way is to hide more cells until no sum gives
one away, which is hard to get right.

Two totals that were shown at different times have a difference, too: all patients, and all but those of one doctor.
"""

from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError, check_whole_number

HIDDEN = -1
"""In place of a hidden count."""


@dataclass(frozen=True, eq=False)
class Published:
    """A table as it may be shown; `HIDDEN` where a count is not.

    Attributes:
        cells: int64 (r, c).
        row_totals: int64 (r,).
        column_totals: int64 (c,).
        total: of all cells.
    """

    cells: np.ndarray
    row_totals: np.ndarray
    column_totals: np.ndarray
    total: int


def hide_small(counts: np.ndarray, least: int) -> np.ndarray:
    """Return counts with `HIDDEN` in place of those from 1 to least - 1; of the same shape.

    Raises:
        InputError: counts below 0 or not int64, or least below 2.
    """
    check_whole_number("least", least, 2)
    counts = np.asarray(counts)
    if counts.dtype != np.int64 or (counts < 0).any():
        raise InputError("counts must be whole numbers >= 0 of dtype int64")
    return np.where((counts > 0) & (counts < least), HIDDEN, counts)


def publish(counts: np.ndarray, least: int) -> Published:
    """Return a table with small counts hidden, and those totals that say nothing about them.

    Args:
        counts: int64 (r, c).
        least: k, the smallest count that may be shown, besides 0; >= 2.

    Raises:
        InputError: counts of another shape, or as `hide_small`.
    """
    cells = hide_small(counts, least)
    if cells.ndim != 2:
        raise InputError(f"counts must have the shape (r, c), got {cells.shape}")
    hidden = cells == HIDDEN
    return Published(
        cells,
        np.where(hidden.any(axis=1), HIDDEN, cells.sum(axis=1)),
        np.where(hidden.any(axis=0), HIDDEN, cells.sum(axis=0)),
        HIDDEN if hidden.any() else int(cells.sum()),
    )


def recover(cells: np.ndarray, row_totals: np.ndarray, column_totals: np.ndarray) -> np.ndarray:
    """Return the cells with those hidden ones filled in that totals give away, one after the other.

    Whoever reads a table can do this. It finds what single rows and columns give away; several together may give away
    more.

    Args:
        cells: int64 (r, c), with `HIDDEN`.
        row_totals, column_totals: int64 (r,) and (c,), `HIDDEN` where they are not shown.
    """
    cells = cells.copy()
    while True:
        hidden = cells == HIDDEN
        visible = np.where(hidden, 0, cells)
        by_row = hidden & (hidden.sum(axis=1) == 1)[:, None] & (row_totals != HIDDEN)[:, None]
        by_column = hidden & (hidden.sum(axis=0) == 1) & (column_totals != HIDDEN)
        if not (by_row | by_column).any():
            return cells
        cells = np.where(by_column, column_totals - visible.sum(axis=0), cells)
        cells = np.where(by_row, (row_totals - visible.sum(axis=1))[:, None], cells)


def difference_reveals(first: np.ndarray, second: np.ndarray, least: int) -> np.ndarray:
    """Return where the difference of two totals is a count that may not be shown: bool, of their shape.

    Args:
        first, second: counts of the same thing, the rows of one among those of the other, int64.
        least: the smallest count that may be shown, besides 0; >= 2.

    Raises:
        InputError: least below 2.
    """
    check_whole_number("least", least, 2)
    difference = np.abs(np.asarray(first) - np.asarray(second))
    return (difference > 0) & (difference < least)

"""How many rows of all sites are in which group: counts by codes, cross tables, and how frequent a label is in each.

count(a, b) = sum over rows 1[first = a and second = b]
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.columns import Category, Site, column_of
from fedlearn_helpers.statistics.questions import Ask, Asked

FREQUENCIES, CROSS_TABLE = "frequencies", "cross table"


def answer_frequencies(site: Site, asked: Asked) -> np.ndarray:
    """A site's half: of each of its columns the counts of codes, of other values, and of missing ones, int64."""
    answer: list[np.ndarray] = []
    for place, codes in _categories(asked):
        column = column_of(site, place)
        counts = np.bincount(_positions(column, codes), minlength=len(codes) + 1)
        missing = int(np.isnan(column).sum())
        answer.append(np.array([*counts[:-1], counts[-1] - missing, missing], np.int64))
    return np.concatenate(answer)


def frequencies(ask: Ask, categories: Sequence[Category]) -> "list[Frequencies]":
    """Return how often each code of columns is found over all sites.

    Args:
        ask: see `Ask`; one question.
        categories: the columns, each for itself; for combinations there is `cross_table`.

    Raises:
        InputError: no column.
    """
    total = ask(FREQUENCIES, _asked_about(categories))
    parts = np.split(total, np.cumsum([len(one.codes) + 2 for one in categories])[:-1])
    return [
        Frequencies(one, part[:-2], int(part[-2]), int(part[-1])) for one, part in zip(categories, parts, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class Frequencies:
    """Counts of a column over all sites.

    Attributes:
        category: the column.
        counts: by code, int64 (c,).
        other: how many values are none of the codes.
        missing: how many rows have no value.
    """

    category: Category
    counts: np.ndarray
    other: int
    missing: int

    def most_frequent(self) -> float:
        """Return the most frequent code, the smallest of several.

        Raises:
            InputError: nobody has measured it, or there are values that are none of the codes.
        """
        name, codes = self.category.name, self.category.codes
        if self.other:
            raise InputError(f"{name} must have no values but its codes {codes}, got {self.other} others")
        if not self.counts.any():
            raise InputError(f"every column must have been measured by a site, got no value of {name}")
        return min(code for code, count in zip(codes, self.counts, strict=True) if count == self.counts.max())


def answer_cross_table(site: Site, asked: Asked) -> np.ndarray:
    """A site's half: the cross table of its columns, one row of it after the other, int64."""
    categories = _categories(asked)
    shape = tuple(len(codes) + 1 for _, codes in categories)
    cells = np.ravel_multi_index([_positions(column_of(site, place), codes) for place, codes in categories], shape)
    return np.bincount(cells, minlength=int(np.prod(shape))).astype(np.int64)


def cross_table(ask: Ask, categories: Sequence[Category]) -> np.ndarray:
    """Return how many rows of all sites have which combination of codes.

    Args:
        ask: see `Ask`; one question.
        categories: the columns, one for each dimension of the table, such as the label and sex.

    Returns:
        int64 (c_1 + 1, c_2 + 1, ...): in the order of codes; last of each, rows whose value is none of them or missing.

    Raises:
        InputError: no column.
    """
    shape = tuple(len(one.codes) + 1 for one in categories)
    return ask(CROSS_TABLE, _asked_about(categories)).reshape(shape)


@dataclass(frozen=True, eq=False)
class Prevalence:
    """How frequent a label is in groups.

    Attributes:
        group: the column that makes the groups.
        cases: rows of each group with the label, int64 (g,).
        rows: of each group with any known label, int64 (g,).
    """

    group: Category
    cases: np.ndarray
    rows: np.ndarray

    def shares(self) -> np.ndarray:
        """Return cases / rows, float64 (g,).

        Raises:
            InputError: a group without rows.
        """
        if (empty := self.rows == 0).any():
            code = self.group.codes[int(np.argmax(empty))]
            raise InputError(
                f"every group must have rows with a known label, got none where {self.group.name} is {code:g}"
            )
        return self.cases / self.rows


def prevalence(ask: Ask, label: Category, positive: float, group: Category) -> Prevalence:
    """Return how frequent a label is in each group over all sites.

    Args:
        ask: see `Ask`; one question.
        label: all codes of the label.
        positive: the code whose cases are counted.
        group: the column that makes the groups; rows without a code of it are left out.

    Raises:
        InputError: positive is no code of the label.
    """
    if positive not in label.codes:
        raise InputError(f"positive must be one of the codes {label.codes} of {label.name}, got {positive!r}")
    table = cross_table(ask, [label, group])[:-1, :-1]
    return Prevalence(group, table[label.codes.index(positive)], table.sum(axis=0))


def _asked_about(categories: Sequence[Category]) -> dict[str, np.ndarray]:
    if not categories:
        raise InputError("categories must be at least one column, got none")
    return {
        "places": np.array([one.place for one in categories], np.int64),
        "codes": np.concatenate([np.array(one.codes, np.float64) for one in categories]),
        "lengths": np.array([len(one.codes) for one in categories], np.int64),
    }


def _categories(asked: Asked) -> list[tuple[int, np.ndarray]]:
    """Return place and codes of each column, as asked."""
    parts = np.split(asked["codes"], np.cumsum(asked["lengths"])[:-1])
    return list(zip(asked["places"].tolist(), parts, strict=True))


def _positions(column: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the position of each value among codes, int64 (n,); their number for one that is none of them, or nan."""
    order = np.argsort(codes)
    at = np.minimum(np.searchsorted(codes, column, sorter=order), len(codes) - 1)
    return np.where(codes[order][at] == column, order[at], len(codes))

"""Histograms of all sites' rows: counts between edges that all sites know. Their sum over sites is the histogram."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.columns import Number, Site, measured
from fedlearn_helpers.statistics.questions import Ask, Asked

HISTOGRAMS = "histograms"


@dataclass(frozen=True, eq=False)
class Histogram:
    """The values of a column over all sites, in bins.

    Attributes:
        edges: float64 (b + 1,), in rising order.
        counts: int64 (b,); a bin has its lower edge, the last one the upper edge, too.
        below, above: how many values are outside.
        missing: how many rows have no value.
    """

    edges: np.ndarray
    counts: np.ndarray
    below: int
    above: int
    missing: int


def answer_histograms(site: Site, asked: Asked) -> np.ndarray:
    """A site's half: of each column the counts of its bins, below, above and missing, one after the other, int64."""
    answer: list[np.ndarray] = []
    ends = np.cumsum(asked["lengths"])
    for place, edges in zip(asked["places"], np.split(asked["edges"], ends[:-1]), strict=True):
        values = np.sort(measured(site, int(place)))
        at = np.append(np.searchsorted(values, edges[:-1], "left"), np.searchsorted(values, edges[-1], "right"))
        rest = [at[0], len(values) - at[-1], len(site.values) - len(values)]
        answer.append(np.concatenate([np.diff(at), rest]).astype(np.int64))
    return np.concatenate(answer)


def histograms(
    ask: Ask, numbers: Sequence[Number], edges: Mapping[str, Sequence[float] | np.ndarray]
) -> dict[str, Histogram]:
    """Return the histograms of columns over all sites, by name.

    Args:
        ask: see `Ask`; one question.
        numbers: the columns; their steps play no part.
        edges: by the column's name, at least two, in rising order. They are no secret, so not from data.

    Raises:
        InputError: no column, one without edges, or edges that do not rise or are not finite.
    """
    if not numbers:
        raise InputError("numbers must be at least one column, got none")
    of_columns = [_checked(number.name, edges) for number in numbers]
    asked = {
        "places": np.array([number.place for number in numbers], np.int64),
        "edges": np.concatenate(of_columns),
        "lengths": np.array([len(one) for one in of_columns], np.int64),
    }
    parts = np.split(ask(HISTOGRAMS, asked), np.cumsum(asked["lengths"] + 2)[:-1])
    return {
        number.name: Histogram(one, part[:-3], *part[-3:].tolist())
        for number, one, part in zip(numbers, of_columns, parts, strict=True)
    }


def _checked(name: str, edges: Mapping[str, Sequence[float] | np.ndarray]) -> np.ndarray:
    if name not in edges:
        raise InputError(f"edges must have those of {name}, got {', '.join(edges) or 'none'}")
    of_column = np.asarray(edges[name], np.float64)
    if of_column.ndim != 1 or len(of_column) < 2 or not np.isfinite(of_column).all() or (np.diff(of_column) <= 0).any():
        raise InputError(f"edges of {name} must be at least two finite numbers in rising order, got {edges[name]}")
    return of_column

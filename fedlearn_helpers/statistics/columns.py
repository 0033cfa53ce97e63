"""What all sites agree on about their columns before any statistics: names, ranges, steps. None of it is from data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.statistics.questions import Asked
from fedlearn_helpers.statistics.steps import in_steps

LABELS = -1
"""The place of a site's labels."""


class Site(Protocol):
    """What a site has; no more is needed of it.

    Attributes:
        values: float64 (n, d); nan where nothing was measured.
        labels: (n,), whole numbers; needed where something is asked about labels.
    """

    @property
    def values(self) -> np.ndarray: ...  # noqa: D102

    @property
    def labels(self) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True)
class Number:
    """A column of measured numbers.

    Attributes:
        place: of the column in a site's values, from 0.
        name: for messages.
        low, high: between which values can be, by what they mean, such as 0 and 120 for an age in years.
        step: to which values are rounded before they are counted, 1e-100 to 1e100, so that its square is a number, too.
            Of data that are multiples of it nothing is lost.

    Raises:
        InputError: an argument out of range, or low > high.
    """

    place: int
    name: str
    low: float
    high: float
    step: float

    def __post_init__(self) -> None:
        check_whole_number(f"place of {self.name}", self.place, 0)
        check_number(f"step of {self.name}", self.step, "a number from 1e-100 to 1e100", lambda n: 1e-100 <= n <= 1e100)
        for bound in (self.low, self.high):
            in_steps(f"low and high of {self.name}", np.array(bound), self.step)
        if self.low > self.high:
            raise InputError(f"low of {self.name} must be <= high={self.high:g}, got {self.low:g}")


@dataclass(frozen=True)
class Category:
    """A column of codes, or the labels.

    Attributes:
        place: of the column in a site's values, from 0; `LABELS` for the labels.
        name: for messages.
        codes: all that there can be, in the order in which they are counted.

    Raises:
        InputError: no code, one twice, or one that is not finite.
    """

    place: int
    name: str
    codes: tuple[float, ...]

    def __post_init__(self) -> None:
        check_whole_number(f"place of {self.name}", self.place, LABELS)
        for code in self.codes:
            check_number(f"codes of {self.name}", code, "finite numbers", lambda _: True)
        if not self.codes or len(set(self.codes)) < len(self.codes):
            raise InputError(f"codes of {self.name} must be at least one, and none twice, got {self.codes}")


def asked_about(numbers: Sequence[Number]) -> dict[str, np.ndarray]:
    """Return what a question says about columns of numbers: places int64 (m,), steps float64 (m,).

    Raises:
        InputError: no column.
    """
    if not numbers:
        raise InputError("numbers must be at least one column, got none")
    return {
        "places": np.array([number.place for number in numbers], np.int64),
        "steps": np.array([number.step for number in numbers], np.float64),
    }


def measured(site: Site, place: int) -> np.ndarray:
    """Return a column's values, or the labels, that are not missing: float64 (n measured,), in the order of rows.

    Raises:
        InputError: as `column_of`.
    """
    column = column_of(site, place)
    return column[~np.isnan(column)]


def measured_in_steps(site: Site, asked: Asked) -> list[np.ndarray]:
    """Return the values of each column that are not missing in its steps: int64 (n measured,).

    Args:
        site: its data.
        asked: as `asked_about` wrote it.

    Raises:
        InputError: as `column_of`, or values too large for `in_steps`.
    """
    return [
        in_steps(f"column {place}", measured(site, int(place)), float(step))
        for place, step in zip(asked["places"], asked["steps"], strict=True)
    ]


def column_of(site: Site, place: int) -> np.ndarray:
    """Return a column of a site's values, or its labels, as float64 (n,).

    Raises:
        InputError: values of another shape or dtype, no such column, or an infinite number.
    """
    if place == LABELS:
        column = np.asarray(site.labels, np.float64)
    else:
        values = site.values
        if not isinstance(values, np.ndarray) or values.dtype != np.float64 or values.ndim != 2:
            got = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
            raise InputError(f"values must be an array of float64 and shape (n, d), got {got}")
        if place >= values.shape[1]:
            raise InputError(f"place must be that of one of {values.shape[1]} columns, got {place}")
        column = values[:, place]
    if np.isinf(column).any():
        raise InputError(f"column {place} must have finite numbers, or nan where they are missing, got an infinite one")
    return column

"""One site's table: its rows stay where they are."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.tables.schema import Schema


@dataclass(frozen=True, eq=False)
class SiteTable:
    """The rows of one site, copied and read-only.

    Attributes:
        name: of the site.
        schema: what the columns mean.
        values: (n, d) float64, one column for each of the schema's; NaN is a missing value.
        labels: (n,) int64, 1 or 0.

    Raises:
        InputError: arrays of other shapes, an infinite value, or a label that is not 0 or 1, such as NaN.
    """

    name: str
    schema: Schema
    values: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        check_site_name(self.name)
        labels = as_labels(self.labels, self.name)
        try:
            values = np.array(self.values, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"values of {self.name!r} must be numbers, got others") from None
        shape = len(labels), len(self.schema.columns)
        if values.shape != shape:
            raise InputError(f"values of {self.name!r} must be of shape {shape}, got {values.shape}")
        for column, of_column in zip(self.schema.columns, values.T, strict=True):
            if np.isinf(of_column).any():
                raise InputError(f"values of {self.name!r} must be finite or NaN, got inf in {column.name!r}")
        for name, array in (("values", values), ("labels", labels)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.labels)

    def column(self, name: str) -> np.ndarray:
        """Return the values of one column, (n,) float64; raise an InputError if there is none of this name."""
        return self.values[:, self.schema.position(name)]

    def only(self, names: Sequence[str]) -> "SiteTable":
        """Return the same rows with some of the columns; raise an InputError if one is unknown."""
        schema = self.schema.only(names)
        return SiteTable(self.name, schema, self.values[:, [self.schema.position(name) for name in names]], self.labels)

    def rows(self, chosen: np.ndarray) -> "SiteTable":
        """Return some of the rows, by their numbers from 0 or by a bool for each."""
        return SiteTable(self.name, self.schema, self.values[chosen], self.labels[chosen])


def check_site_name(name: object) -> None:
    """Raise an InputError unless a name can be printed, and is the same on every system (Unicode's form NFC)."""
    fine = isinstance(name, str) and name.strip() == name != "" and name.isprintable()
    if not fine or unicodedata.normalize("NFC", name) != name:  # type: ignore[arg-type]
        raise InputError(
            f"name of a site must be printable text in Unicode's form NFC without spaces around it, got {name!r}"
        )


def as_labels(labels: np.ndarray, name: str) -> np.ndarray:
    """Return a copy of labels, (n,) int64.

    Raises:
        InputError: none at all, another shape, or one that is not 0 or 1, such as NaN.
    """
    array = np.asarray(labels)
    if array.ndim != 1 or len(array) == 0:
        raise InputError(f"labels of {name!r} must be 0 or 1, one for each row, got shape {array.shape}")
    wrong = array[~np.isin(array, (0, 1))] if array.dtype.kind in "biuf" else array
    if len(wrong):
        raise InputError(f"labels of {name!r} must be 0 or 1, got {wrong[0]}")
    return array.astype(np.int64)

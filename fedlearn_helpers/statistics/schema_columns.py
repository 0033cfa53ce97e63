"""A table's schema, as statistics need it: for each column where its values can be, and in which steps they count."""

import math

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.columns import Category, Number
from fedlearn_helpers.tables.schema import Column, Schema

_STEPS_IN_RANGE = 4  # powers of ten below the range's own: 0.001 years of 92


def columns_of(schema: Schema) -> list[Number | Category]:
    """Return what statistics need to know of each column, in the order of the schema.

    A number's step is a power of ten, a ten-thousandth of its range or less, so that no usual decimal is lost; what is
    yes or no is a category with the codes 0 and 1.

    Raises:
        InputError: a number for which the schema has no range, or one from which no step follows that a `Number` may
            have.
    """
    return [_column_of(place, column) for place, column in enumerate(schema.columns)]


def ranges_of(schema: Schema) -> np.ndarray:
    """Return the lowest and the highest value that each column can have, float64 (d, 2), such as trees need.

    Raises:
        InputError: a number for which the schema has no range.
    """
    ends = [(one.low, one.high) if isinstance(one, Number) else _ends(one) for one in columns_of(schema)]
    return np.array(ends, np.float64)


def _column_of(place: int, column: Column) -> Number | Category:
    if column.kind == "yes-no":
        return Category(place, column.name, (0.0, 1.0))
    if column.kind == "category":
        return Category(place, column.name, column.allowed)
    width = column.highest - column.lowest
    if not (math.isfinite(width) and width > 0):
        raise InputError(
            f"lowest and highest of {column.name} must be finite, the one below the other, got {column.lowest:g} and "
            f"{column.highest:g}"
        )
    step = 10.0 ** (math.floor(math.log10(width)) - _STEPS_IN_RANGE)
    return Number(place, column.name, column.lowest, column.highest, step)


def _ends(category: Category) -> tuple[float, float]:
    low, high = min(category.codes), max(category.codes)
    return (low, high) if low < high else (low, low + 1.0)

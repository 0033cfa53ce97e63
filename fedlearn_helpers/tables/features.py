"""From a site's table to a model's inputs: fill in what is missing, scale numbers, one feature for each category.

    number      (x - mean) / standard deviation
    yes-no      1 or 0
    category    one feature per code: 1 for the one that it is, else 0
    and on request one more feature per column: 1 where its value was missing, else 0

Nothing here is computed from the table: means, deviations and fill values are arguments, so that all sites use the
same, and rows to test on decide nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.tables.schema import Schema
from fedlearn_helpers.tables.site import SiteTable


@dataclass(frozen=True, eq=False)
class Standardizer:
    """Means and standard deviations of numbers, such as those of all sites' training rows.

    Attributes:
        schema: of the tables to scale.
        means, deviations: (d,) one for each of its columns; those of columns that are no numbers are not used, and may
            be NaN.

    Raises:
        InputError: other shapes, or for a number a mean that is not finite, or a deviation that is not above 0.
    """

    schema: Schema
    means: np.ndarray
    deviations: np.ndarray

    def __post_init__(self) -> None:
        for name in ("means", "deviations"):
            object.__setattr__(self, name, _one_per_column(name, getattr(self, name), self.schema))
        for column, mean, deviation in zip(self.schema.columns, self.means, self.deviations, strict=True):
            if column.kind == "number" and not np.isfinite(mean):
                raise InputError(f"means must be finite, got {mean:g} for {column.name!r}")
            if column.kind == "number" and not 0 < deviation < np.inf:
                raise InputError(f"deviations must be > 0 and finite, got {deviation:g} for {column.name!r}")

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return values (n, d) with numbers scaled and all else as it is; what is missing stays missing."""
        numbers = np.array([column.kind == "number" for column in self.schema.columns])
        means, deviations = np.where(numbers, self.means, 0.0), np.where(numbers, self.deviations, 1.0)
        return (values - means) / deviations


def impute(site: SiteTable, fill: np.ndarray) -> SiteTable:
    """Return a table with a column's fill value in place of each missing one.

    Args:
        site: stays as it is.
        fill: (d,) one for each column, as a value of the table: not scaled, one of its codes for a category, and in
            [0, 1] for yes-no, such as the share of 1.

    Raises:
        InputError: another shape, or a value that is not possible in its column.
    """
    fill = _one_per_column("fill", fill, site.schema)
    for column, value in zip(site.schema.columns, fill, strict=True):
        if not (0 <= value <= 1 if column.kind == "yes-no" else column.holds(value)):
            limits = "in [0, 1]" if column.kind == "yes-no" else column.limits
            raise InputError(f"fill must be {limits} for {column.name!r}, got {value:g}")
    return SiteTable(site.name, site.schema, np.where(np.isnan(site.values), fill, site.values), site.labels)


def feature_names(schema: Schema, missing_indicators: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of a model's inputs, such as "age", "cp = 4" and "chol missing"; see `model_inputs`."""
    names = []
    for column in schema.columns:
        codes = [f"{column.name} = {code:g}" for code in column.allowed]
        names += codes if column.kind == "category" else [column.name]
    for name in missing_indicators:
        schema.position(name)
    return (*names, *(f"{name} missing" for name in missing_indicators))


def model_inputs(
    site: SiteTable, *, fill: np.ndarray, standardizer: Standardizer, missing_indicators: Sequence[str] = ()
) -> np.ndarray:
    """Return a model's inputs, (n, features) float32; `feature_names` has their names.

    Args:
        site: stays as it is.
        fill: (d,) for missing values, as `impute` takes it.
        standardizer: of the site's schema.
        missing_indicators: columns for which a further feature says whether the value was missing.

    Raises:
        InputError: fill values that are not possible, a standardizer of another schema, an unknown column, a category
            with another code than those of the schema, or features that float32 cannot hold.
    """
    if standardizer.schema != site.schema:
        raise InputError(f"standardizer must be of the schema of site {site.name!r}, got one of another schema")
    names = feature_names(site.schema, missing_indicators)
    scaled = standardizer(impute(site, fill).values)
    features = []
    for column, values in zip(site.schema.columns, scaled.T, strict=True):
        if column.kind != "category":
            features.append(values)
            continue
        if not (known := column.holds(values)).all():
            raise InputError(f"{column.name} of {site.name!r} must be {column.limits}, got {values[~known][0]:g}")
        features += [values == code for code in column.allowed]
    features += [np.isnan(site.column(name)) for name in missing_indicators]
    with np.errstate(over="ignore"):
        inputs = np.stack(features, axis=1).astype(np.float32)
    if not np.isfinite(inputs).all():
        wrong = names[int((~np.isfinite(inputs)).any(axis=0).argmax())]
        raise InputError(f"features of {site.name!r} must be finite in float32, got others for {wrong!r}")
    return inputs


def _one_per_column(argument: str, numbers: np.ndarray, schema: Schema) -> np.ndarray:
    try:
        array = np.array(numbers, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{argument} must be numbers, one for each column, got others") from None
    if array.shape != (len(schema.columns),):
        raise InputError(
            f"{argument} must be of shape ({len(schema.columns)},), one for each column, got {array.shape}"
        )
    array.setflags(write=False)
    return array

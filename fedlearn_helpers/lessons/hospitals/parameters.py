"""The parameters of notebook 11: what each may be."""

import math
import os
from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.parameters import Count, LessonParameters, Rate, Workers, split_names
from fedlearn_helpers.statistics import Number, columns_of
from fedlearn_helpers.statistics.steps import in_steps
from fedlearn_helpers.tables import HEART, Schema, SiteTable

FEWEST, MOST = 2, 6  # hospitals; 2^6 coalitions are fitted for each split
FEWEST_ROWS = 20  # of a hospital: fewer leave nothing to test on


def _known_sites(value: str) -> str:
    try:
        found = value == "heart" or os.path.isdir(os.path.expanduser(value))
    except ValueError:  # a null character
        found = False
    if not found:
        raise ValueError("must be 'heart' or a folder of CSV files")
    return value


class HospitalParameters(LessonParameters):
    """Parameters of notebook 11."""

    sites: Annotated[str, AfterValidator(_known_sites)]
    leave_out: str
    test_fraction: Annotated[float, Field(ge=0.1, le=0.5, allow_inf_nan=False)]
    num_splits: Annotated[int, Field(ge=2)]  # between which there is a spread
    num_rounds: Count
    batch_size: Count
    learning_rate: Rate
    num_trees: Count
    workers: Workers

    @model_validator(mode="after")
    def _columns_of_heart(self) -> Self:
        if self.sites == "heart":  # those of a folder are known once it has been read
            _check_columns(self.leave_out, HEART)
        return self


def _check_columns(leave_out: str, schema: Schema) -> None:
    if set(split_names(leave_out)) - set(schema.names):
        raise InputError(f"leave_out must name columns out of {', '.join(schema.names)}, got {leave_out!r}")


def check_hospitals(hospitals: Sequence[SiteTable], leave_out: str, test_fraction: float) -> None:
    """Check that the notebook can run on these hospitals without the columns in `leave_out`, names with commas between.

    So many rows of each class that every split has one of each to test on: a split takes a class's share of
    `test_fraction`, rounded up or down.

    Raises:
        InputError: too few or too many hospitals, one with too few rows, or with one class alone, an unknown column to
            leave out, no two columns left, no number or no category among them, a number without a range, or a column
            that nobody has measured, or a number that is the same in all rows.
    """
    schema = hospitals[0].schema
    _check_columns(leave_out, schema)
    if not FEWEST <= len(hospitals) <= MOST:
        raise InputError(f"sites must hold {FEWEST} to {MOST} hospitals for this notebook, got {len(hospitals)}")
    for site in hospitals:
        if len(site) < FEWEST_ROWS:
            raise InputError(f"sites must have at least {FEWEST_ROWS} rows each, got {len(site)} in {site.name!r}")
        fewest = int(min(site.labels.sum(), len(site) - site.labels.sum()))
        if fewest * test_fraction < 1:
            needed = math.ceil(1 / test_fraction)
            raise InputError(
                f"sites must have at least {needed} rows of each class for a test_fraction of {test_fraction}, so that "
                f"each split has one to test on, got {fewest} in {site.name!r}"
            )
    used = [column for column in schema.columns if column.name not in split_names(leave_out)]
    kinds = {"number" if column.kind == "number" else "code" for column in used}
    if kinds != {"number", "code"}:
        raise InputError("leave_out must leave at least one number and one category or yes-no column, got another")
    pooled = np.concatenate([site.values for site in hospitals])
    for column in columns_of(schema.only([column.name for column in used])):
        measured = pooled[:, schema.position(column.name)]
        measured = measured[~np.isnan(measured)]
        if len(measured) == 0:
            raise InputError(f"leave_out must name {column.name!r}, which no hospital has measured")
        if isinstance(column, Number) and not np.ptp(in_steps(column.name, measured, column.step)):
            same = f"{measured[0]:g} in all rows, to a step of {column.step:g}"
            raise InputError(f"leave_out must name {column.name!r}, which is {same}")


check_parameters = HospitalParameters.check

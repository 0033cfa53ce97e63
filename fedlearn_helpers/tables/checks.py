"""Whether a table fits the schema that all sites have agreed on, and how much of it is missing.

A site checks its own table: findings name rows and values, and stay where the rows are.
"""

from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.tables.schema import Column, Schema
from fedlearn_helpers.tables.site import SiteTable

HEADER_ROWS = 1
_ENOUGH = 5  # values of a column whose median may say in which unit they are


@dataclass(frozen=True)
class Finding:
    """What a check has found.

    Attributes:
        column: its name; empty where it concerns the whole table.
        says: what is wrong, with the value and what is allowed; or what is good to know.
        is_error: whether the table cannot be used like this.
        row: the first row where it is so, as a spreadsheet counts them (1 is the header); None for no single row.
    """

    column: str
    says: str
    is_error: bool = True
    row: int | None = None

    def __str__(self) -> str:
        where = [f"row {self.row}"] * (self.row is not None) + [self.column] * bool(self.column)
        return f"{', '.join(where)}: {self.says}" if where else self.says


def check_site(site: SiteTable, schema: Schema) -> list[Finding]:
    """Compare a table with a schema; a row's number is the one that it has in a file of `save_sites`.

    Errors are: missing and unknown columns, values out of range, a unit that is not the schema's, a table without any
    value. How many values of each column are missing, and labels of one class alone, are good to know.
    """
    ours, theirs = site.schema.names, schema.names
    columns = check_names(ours, theirs)
    if columns:
        return columns
    return check_values(site.only(theirs).values, site.labels, schema, np.arange(len(site)) + 1 + HEADER_ROWS)


def check_names(found: tuple[str, ...], wanted: tuple[str, ...]) -> list[Finding]:
    """Compare the names of columns, in any order; names of which each is there once."""
    findings = []
    if missing := [name for name in wanted if name not in found]:
        findings.append(Finding("", f"lacks the column{'s'[: len(missing) - 1]} {', '.join(map(repr, missing))}"))
    if unknown := [name for name in found if name not in wanted]:
        known = f"those of the schema are {', '.join(wanted)}"
        findings.append(
            Finding("", f"has the unknown column{'s'[: len(unknown) - 1]} {', '.join(map(repr, unknown))}; {known}")
        )
    return findings


def check_values(values: np.ndarray, labels: np.ndarray, schema: Schema, rows: np.ndarray) -> list[Finding]:
    """Check a table's values (n, d) and labels (n,), which stand in these rows (n,) of a file."""
    findings = [] if np.isfinite(values).any() else [Finding("", "has no value in any column")]
    for column, of_column in zip(schema.columns, values.T, strict=True):
        findings += _check_range(column, of_column, rows)
        if missing := int(np.isnan(of_column).sum()):
            share = missing / len(of_column)
            findings.append(Finding(column.name, f"{missing} of {len(of_column)} missing ({share:.1%})", False))
    if len(classes := np.unique(labels)) == 1:
        findings.append(Finding(schema.label.name, f"all {len(labels)} labels are {classes[0]}", False))
    return findings


def _check_range(column: Column, values: np.ndarray, rows: np.ndarray) -> list[Finding]:
    wrong = ~np.isnan(values) & ~column.holds(values)
    if not wrong.any():
        return []
    median = np.nanmedian(values)
    enough = np.isfinite(values).sum() >= _ENOUGH
    for unit, factor in column.other_units:
        if enough and not column.holds(median) and column.holds(median * factor):
            return [
                Finding(
                    column.name,
                    f"must be in {column.unit}, {column.limits}, got a median of {median:g}, which is plausible in "
                    f"{unit}: multiply by {factor:.6g}",
                )
            ]
    first, count = int(wrong.argmax()), int(wrong.sum())
    zero = "; 0 stands for a missing value" if column.zero_means_missing and values[first] == 0 else ""
    says = f"must be {column.limits}, got {values[first]:g}{more_rows(count)}{zero}"
    return [Finding(column.name, says, row=int(rows[first]))]


def more_rows(count: int) -> str:
    """Say that something is so in `count` rows, of which one has been named."""
    return f" (and in {count - 1} more row{'s'[: count - 2]})" if count > 1 else ""

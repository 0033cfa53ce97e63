"""One site's CSV file: its cells become numbers, or findings that say where they do not."""

import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fedlearn_helpers.errors import one_line
from fedlearn_helpers.tables.checks import Finding, check_names, check_values, more_rows
from fedlearn_helpers.tables.schema import Schema

MISSING = ("", "?", "na", "nan")  # whatever their case
_SEPARATORS = ";\t,"  # the first of those that fit the header as well
_SOMETHING = re.compile(rf'[^\s"{_SEPARATORS}]')
_EXCELS = re.compile(r'\A"?sep=."?(\r\n|\r|\n)', re.IGNORECASE)  # a first line that spreadsheets do not show
_NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?")
_SHOWN = 40  # characters of a cell


@dataclass
class Content:
    """What is in a file.

    Attributes:
        values: (n, d) float64 in the schema's order, NaN where a value is missing.
        labels: (n,) float64.
        findings: errors and what is good to know; with an error, values and labels mean nothing.
    """

    findings: list[Finding]
    values: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    labels: np.ndarray = field(default_factory=lambda: np.empty(0))


def read_csv(path: Path, schema: Schema) -> Content:
    """Read and check one site's file; `load_sites` says what it may look like."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return Content([Finding("", f"cannot be read: {one_line(error)}")])
    except UnicodeDecodeError as error:
        return Content([Finding("", f"must be text in UTF-8, got byte {error.object[error.start]:#04x}")])
    text = _EXCELS.sub("", text)
    if not _SOMETHING.search(text):
        return Content([Finding("", "is empty")])
    try:
        separator = _separator(text, schema)
        rows = list(_rows(text, separator, strict=True))
    except csv.Error as error:
        return Content([Finding("", f"must be a CSV file, got {one_line(error)}")])
    (header_row, header), *rows = rows
    names = _names(header)
    findings = _check_header(names, header_row, schema)
    if findings:
        return Content(findings)
    if not rows:
        return Content([Finding("", "has no rows below its header")])
    for row, cells in rows:
        if len(cells) != len(names):
            says = f"must have {len(names)} cells, as the header has, got {len(cells)}"
            return Content([Finding("", says, row=row)])
    return _read_cells(names, rows, schema, decimal_comma=separator != ",")


def _rows(text: str, separator: str, *, strict: bool) -> Iterator[tuple[int, list[str]]]:
    """Return the rows in which there is anything, with their numbers."""
    records = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=strict)
    return ((number, cells) for number, cells in enumerate(records, start=1) if any(cell.strip() for cell in cells))


def _separator(text: str, schema: Schema) -> str:
    """Return the separator between most of the schema's names, and then between most cells: names may have some."""

    def fit(separator: str) -> tuple[int, int]:
        _, header = next(_rows(text, separator, strict=False))
        return len({*schema.names, schema.label.name} & set(_names(header))), len(header)

    return max(_SEPARATORS, key=fit)


def _names(header: list[str]) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", name).strip() for name in header)


def _check_header(names: tuple[str, ...], row: int, schema: Schema) -> list[Finding]:
    wanted = (*schema.names, schema.label.name)
    if any(_NUMBER.fullmatch(name) and name not in wanted for name in names):
        return [Finding("", f"must be a header with the names {', '.join(wanted)}, got numbers", row=row)]
    if "" in names:
        return [Finding("", f"column {names.index('') + 1} must have a name", row=row)]
    twice = [Finding(name, f"must be there once, got {names.count(name)} times") for name in dict.fromkeys(names)]
    return [found for found in twice if names.count(found.column) > 1] or check_names(names, wanted)


def _read_cells(
    names: tuple[str, ...], rows: list[tuple[int, list[str]]], schema: Schema, *, decimal_comma: bool
) -> Content:
    errors: list[Finding] = []
    table = np.full((len(rows), len(names)), np.nan)
    decimal: dict[str, Finding] = {}  # the first cell with a point, and with a comma
    for position, name in enumerate(names):
        wrong: list[tuple[int, str]] = []
        for place, (row, cells) in enumerate(rows):
            cell = cells[position].strip()
            if cell.casefold() in MISSING:
                continue
            number = float(cell.replace(",", ".")) if _NUMBER.fullmatch(cell) else math.nan
            if not math.isfinite(number) or ("," in cell and not decimal_comma):
                wrong.append((row, cell))
                continue
            for mark in ".,":
                if mark in cell:
                    decimal.setdefault(mark, Finding(name, f"got {cell!r:.{_SHOWN}}", row=row))
            table[place, position] = number
        if wrong:
            says = f"must be a finite number, got {wrong[0][1]!r:.{_SHOWN}}{more_rows(len(wrong))}"
            errors.append(Finding(name, says, row=wrong[0][0]))
    if len(decimal) == 2:
        errors.append(Finding("", f"must have decimal points or commas, not both: {decimal['.']}; {decimal[',']}"))
    numbers = np.array([row for row, _ in rows])
    values = schema.without_zeros(table[:, [names.index(name) for name in schema.names]])
    labels = table[:, names.index(schema.label.name)]
    named = {error.column for error in errors}
    if errors:
        named.add("")  # a table without values is one whose cells are no numbers
    checks = [found for found in check_values(values, labels, schema, numbers) if found.column not in named]
    wrong_labels = ~schema.label.holds(labels)
    if wrong_labels.any() and schema.label.name not in named:
        first, count = int(wrong_labels.argmax()), int(wrong_labels.sum())
        got = "none" if np.isnan(labels[first]) else f"{labels[first]:g}"
        says = f"the label must be 0 or 1, got {got}{more_rows(count)}"
        errors.append(Finding(schema.label.name, says, row=int(numbers[first])))
    return Content(errors + checks, values, labels)

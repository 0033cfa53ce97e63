"""Folders of one's own tables, one CSV file per site, which are checked before anything else."""

import csv
import io
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.files import write_whole
from fedlearn_helpers.tables.csv_file import read_csv
from fedlearn_helpers.tables.heart import load_heart
from fedlearn_helpers.tables.schema import HEART, Schema
from fedlearn_helpers.tables.schema_file import SCHEMA_FILE, read_schema, write_schema
from fedlearn_helpers.tables.site import SiteTable, check_site_name

_LISTED = 10  # problems in one message
_TOO_MANY_ALIKE = 5  # rows: two sites may have a few patients that are alike
_SYSTEM = {"__macosx", "desktop.ini", "thumbs.db"}  # what systems put into folders and do not show
_HIDDEN = (".", "~$")
_NOT_IN_NAMES = '/\\:*?"<>|'  # of files, on one system or another


def load_sites(path_or_name: str | Path) -> list[SiteTable]:
    """Return the tables of all sites, sorted by name, if every one of them fits the schema.

    The folder has one file for each site, `<site>.csv`, and may have a `schema.json`. Without one, the schema is
    `HEART`. With one, it is what that file says: `{"columns": [...], "label": {...}}`, each column with attributes of
    `Column` by name, such as

        {"name": "crp", "kind": "number", "unit": "mg/l", "lowest": 0, "highest": 500}
        {"name": "stage", "kind": "category", "allowed": [1, 2, 3]}
        {"name": "died", "kind": "yes-no"}

    A file is text in UTF-8 (with or without a BOM), with a header: the names of the schema's columns and of its label,
    in any order. Columns are separated by commas, semicolons or tabs; numbers have a decimal point or, between
    semicolons or tabs, a decimal comma. They have no marks for thousands: `1.234` is less than two, and so is `1,234`
    between semicolons; nothing but a column's range can find that. Missing values are empty, `?`, `NA` or `NaN`, and 0
    where the schema says so. Rows without any cell are left out. Hidden files are, too; other files and folders are
    refused, so that no site is forgotten.

    Args:
        path_or_name: "heart" for the four hospitals that come with the package, or the path of a folder.

    Raises:
        InputError: no such folder, no sites in it, tables that do not fit, or two that are the same. The message has up
            to ten lines, each with the file, the row as a spreadsheet counts it (1 is the header), the column, the
            value and what is allowed.
    """
    if path_or_name == "heart":
        return load_heart()
    given = os.path.expanduser(path_or_name) if isinstance(path_or_name, str | Path) else ""
    if not os.path.isdir(given):
        raise InputError(f"sites must be 'heart' or the path of a folder of CSV files, got {path_or_name!r}")
    folder = Path(given)
    files = _list(folder)
    has_schema = os.path.lexists(folder / SCHEMA_FILE)
    schema = read_schema(folder) if has_schema else HEART
    sites, problems = [], []
    for site, path in sorted(files.items()):
        content = read_csv(path, schema)
        errors = [finding for finding in content.findings if finding.is_error]
        problems += [f"{path.name}{',' if error.row or error.column else ''} {error}" for error in errors]
        if not errors:
            sites.append(SiteTable(site, schema, content.values, content.labels))
    if problems:
        hint = "" if has_schema else f"; without a {SCHEMA_FILE} the columns are those of 'heart'"
        raise InputError(_listed(f"sites in {str(folder)!r} must fit their schema{hint}", problems))
    _check_copies(sites)
    return sites


def _check_copies(sites: Sequence[SiteTable]) -> None:
    known: dict[bytes, str] = {}
    for site in sites:
        rows = np.column_stack([site.values, site.labels]).tobytes()
        if len(site) >= _TOO_MANY_ALIKE and rows in known:
            raise InputError(
                f"sites must have rows of their own, got the same ones in {known[rows]!r} and {site.name!r}: is one a "
                "copy of the other?"
            )
        known[rows] = site.name


def _list(folder: Path) -> dict[str, Path]:
    """Return the files of a folder by the names of their sites."""
    files: dict[str, Path] = {}
    problems = []
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"sites must be a folder that can be read, got {str(folder)!r} ({error.strerror})") from None
    for name in names:
        path = folder / name
        if name.startswith(_HIDDEN) or name.casefold() in _SYSTEM or name == SCHEMA_FILE:
            continue
        if path.suffix.casefold() != ".csv" or not path.is_file():
            kind = "a folder" if path.is_dir() else "a link that leads nowhere" if not path.exists() else "another file"
            problems.append(f"{name!r} is {kind}")
            continue
        site = unicodedata.normalize("NFC", path.stem).strip()
        try:
            check_site_name(site)
        except InputError:
            problems.append(f"{name!r} has characters that cannot be printed, or no name")
            continue
        if site in files:
            problems.append(f"{name!r} and {files[site].name!r} are both of the site {site!r}")
        files[site] = path
    if problems:
        raise InputError(_listed(f"sites must be CSV files, and nothing else in {str(folder)!r}", problems))
    if not files:
        raise InputError(f"sites must have at least one CSV file, got none in {str(folder)!r}")
    return files


def _listed(what: str, problems: list[str]) -> str:
    if len(problems) == 1:
        return f"{what}: {problems[0]}"
    left = len(problems) - _LISTED
    more = [f"and {left} more"] if left > 0 else []
    return "\n  ".join([f"{what}:", *problems[:_LISTED], *more])


def save_sites(sites: Sequence[SiteTable], folder: str | Path) -> None:
    """Write a folder that `load_sites` reads: a CSV file for each site, and `schema.json`.

    Args:
        sites: of one schema, with names that files can have.
        folder: made if missing; files of other sites in it stay there.

    Raises:
        InputError: no sites, different schemas, the same rows twice, names that differ in no letter or that no file can
            have, or a folder that cannot be written.
    """
    if len(sites) == 0:
        raise InputError("sites must be at least one table to save, got none")
    known: dict[str, str] = {}
    for site in sites:
        if site.schema != sites[0].schema:
            raise InputError(f"sites must have one schema, got another one for {site.name!r} than {sites[0].name!r}")
        if site.name.startswith(_HIDDEN) or set(site.name) & set(_NOT_IN_NAMES) or site.name.casefold() in _SYSTEM:
            raise InputError(
                f"name of a site must be one that a file can have, without {_NOT_IN_NAMES} or a dot in front, "
                f"got {site.name!r}"
            )
        if site.name.casefold() in known:
            other = known[site.name.casefold()]
            raise InputError(f"sites must have names of their own, got {other!r} and {site.name!r}")
        known[site.name.casefold()] = site.name
    _check_copies(sites)
    try:
        write_schema(sites[0].schema, Path(folder))
        for site in sites:
            write_whole(Path(folder) / f"{site.name}.csv", _as_csv(site, sites[0].schema))
    except (OSError, ValueError) as error:
        raise InputError(f"folder must be one that can be written, got {str(folder)!r} ({one_line(error)})") from None


def _as_csv(site: SiteTable, schema: Schema) -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*schema.names, schema.label.name])
    for values, label in zip(site.values.tolist(), site.labels.tolist(), strict=True):
        writer.writerow([*("" if np.isnan(value) else f"{value!r}".removesuffix(".0") for value in values), label])
    return file.getvalue()

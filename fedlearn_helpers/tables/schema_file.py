"""A schema as a file, `schema.json`, beside the tables that it describes."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.files import without_repetition, write_json
from fedlearn_helpers.tables.schema import Column, Schema

SCHEMA_FILE = "schema.json"
_LARGEST = 1e300  # a whole number of JSON may be too large for a float
_PARTS = {"columns", "label"}
_NEEDED = {"name", "kind"}
_TYPES: dict[str, type] = {
    **dict.fromkeys(("name", "kind", "meaning", "unit"), str),
    **dict.fromkeys(("lowest", "highest"), float),
    "zero_means_missing": bool,
    **dict.fromkeys(("allowed", "other_units"), list),
}
_IN_WORDS = {str: "text", float: "a finite number", bool: "true or false", list: "a list"}


def write_schema(schema: Schema, folder: Path) -> None:
    """Write `schema.json`: attributes of `Column` by name, without those that have their default value."""
    write_json(
        folder / SCHEMA_FILE,
        {"columns": [_as_json(column) for column in schema.columns], "label": _as_json(schema.label)},
    )


def _as_json(column: Column) -> dict[str, Any]:
    defaults = asdict(Column("default", "number"))
    return {name: value for name, value in asdict(column).items() if name in _NEEDED or value != defaults[name]}


def read_schema(folder: Path) -> Schema:
    """Read `schema.json`: `{"columns": [...], "label": {...}}`, each column with attributes of `Column` by name.

    Raises:
        InputError: no JSON, or not of this form; the message names the file and what is wrong.
    """
    path = folder / SCHEMA_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=without_repetition)
    except InputError as error:
        raise InputError(f"{path} has no schema: {error}") from None
    except (OSError, ValueError, RecursionError) as error:  # text that is no UTF-8, too
        raise InputError(f"{path} must be a JSON file, got {one_line(error)}") from None
    if not isinstance(content, dict) or set(content) != _PARTS or not isinstance(content["columns"], list):
        raise InputError(f'{path} must be {{"columns": [...], "label": {{...}}}} and nothing else, got other parts')
    try:
        return Schema(tuple(_column(part) for part in content["columns"]), _column(content["label"]))
    except InputError as error:
        raise InputError(f"{path} has no schema: {error}") from None


def _column(part: Any) -> Column:
    if not isinstance(part, dict) or not _NEEDED <= set(part):
        raise InputError(f"a column must have a name and a kind, got {part!r:.80}")
    where = f"of column {part['name']!r:.40}"
    if unknown := sorted(set(part) - set(_TYPES)):
        raise InputError(f"what is said {where} must be of {', '.join(_TYPES)}, got {unknown[0]!r}")
    for name, value in part.items():
        kind = _TYPES[name]
        if not (_is_number(value) if kind is float else isinstance(value, kind)):
            raise InputError(f"{name} {where} must be {_IN_WORDS[kind]}, got {value!r:.80}")
    given = dict(part)
    if not all(_is_number(code) for code in given.get("allowed", [])):
        raise InputError(f"allowed {where} must be a list of numbers, got {given['allowed']!r:.80}")
    given["allowed"] = tuple(given.get("allowed", ()))
    units = given.get("other_units", [])
    if not all(isinstance(u, list) and len(u) == 2 and isinstance(u[0], str) and _is_number(u[1]) for u in units):
        raise InputError(f'other_units {where} must be a list such as [["mmol/l", 38.67]], got {units!r:.80}')
    given["other_units"] = tuple((unit, factor) for unit, factor in units)
    return Column(**given)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST

"""Files that are there completely or not at all, and whether any can be written."""

import json
import math
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from fedlearn_helpers.errors import InputError

_PROBE_BYTES = 8192  # as much as results take: a full disk may still have a place for one byte


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, readable by all users, completely or not at all; its folder is made if missing.

    Args:
        path: replaced if it exists.
        content: text is written as UTF-8, with its line ends as they are.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = tempfile.NamedTemporaryFile(dir=path.parent, prefix=".unfinished-", delete=False)
    try:
        with file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except BaseException:
        Path(file.name).unlink(missing_ok=True)  # an interrupt may come when it has its name already
        raise


def try_writing(folder: Path) -> None:
    """Write a file of a few kilobytes into a folder, and remove it again with all folders that were made for it.

    Raises:
        OSError: this is not possible.
        ValueError: no path has such characters.
    """
    made = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    probe = folder / f".unfinished-probe-{uuid4().hex}"
    try:
        write_whole(probe, bytes(_PROBE_BYTES))
    finally:
        with suppress(OSError, ValueError):
            probe.unlink()
        for path in made:
            with suppress(OSError, ValueError):  # by now others may have put something there
                path.rmdir()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, completely or not at all; its folder is made if missing.

    Raises:
        ValueError: as in `json_text`.
    """
    write_whole(path, json_text(content))


def json_text(content: Mapping[str, Any]) -> str:
    """Return what `write_json` writes, in ASCII.

    Raises:
        ValueError: a number that is NaN or infinite; `without_nan` makes None of them.
    """
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, as the `object_pairs_hook` of `json.loads`, which by itself takes the last of two values.

    Raises:
        InputError: a name is there twice.
    """
    content: dict[str, Any] = {}
    for name, value in pairs:
        if name in content:
            raise InputError(f"{name!r:.60} is there twice")
        content[name] = value
    return content


def without_nan(value: Any) -> Any:
    """Return a value for JSON: None in place of each number in it that is not finite."""
    if isinstance(value, Mapping):
        return {name: without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

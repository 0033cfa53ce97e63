"""Files that are there completely or not at all, and whether any can be written."""

import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from fedlearn_helpers.errors import InputError

_TAKEN = (FileExistsError, PermissionError) if os.name == "nt" else (FileExistsError,)  # Windows: is being removed
_SECONDS_TO_WAIT = 20.0
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


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Keep all others who ask for the same lock waiting: what is read inside is still so when it is written.

    Args:
        lock: a file that is there for as long; its folder is made if missing.

    Raises:
        InputError: somebody has held it for 20 seconds.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + _SECONDS_TO_WAIT
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
            break
        except _TAKEN:
            if time.monotonic() > end:
                raise InputError(
                    f"folder must be written by one program at a time, got one with {str(lock)!r}: if none runs, one "
                    "was ended while it wrote, and this file can be removed"
                ) from None
            time.sleep(0.01)
    try:
        yield
    finally:
        lock.unlink()


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


def name_as_text(name: str) -> str:
    """Return a file's name as text that can be printed, written, and is no formula of a spreadsheet.

    Names that differ stay different.
    """
    text = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in name.replace("\\", "\\\\")
    )
    return f"'{text}" if text.startswith(("'", "=", "+", "-", "@")) else text


def json_text(content: Mapping[str, Any]) -> str:
    """Return what `write_json` writes, in ASCII.

    Raises:
        ValueError: a number that is NaN or infinite; `without_nan` makes None of them.
    """
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def without_nan(value: Any) -> Any:
    """Return a value for JSON: None in place of each number in it that is not finite."""
    if isinstance(value, Mapping):
        return {name: without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

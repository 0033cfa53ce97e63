"""A lock on a folder, for programs that read a file and write it again."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedlearn_helpers.errors import InputError

_TAKEN = (FileExistsError, PermissionError) if os.name == "nt" else (FileExistsError,)  # Windows: is being removed
_SECONDS_TO_WAIT = 20.0


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

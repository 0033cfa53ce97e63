"""A lock on a folder, for programs that read a file and write it again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import SoftFileLock, Timeout

from fedlearn_helpers.errors import InputError

_SECONDS_TO_WAIT = 20.0


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Keep all others who ask for the same lock waiting: what is read inside is still so when it is written.

    The lock is a file that is there for as long, which works on drives of other machines, too. One that a program of
    this machine has left behind, because it was ended while it wrote, is taken away.

    Args:
        lock: the file; its folder is made if missing.

    Raises:
        InputError: somebody has held it for 20 seconds.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = SoftFileLock(lock, timeout=_SECONDS_TO_WAIT)
    try:
        held.acquire()
    except Timeout:
        raise InputError(
            f"folder must be written by one program at a time, got one with {str(lock)!r}: if none runs, one was "
            "ended while it wrote, and this file can be removed"
        ) from None
    try:
        yield
    finally:
        held.release()

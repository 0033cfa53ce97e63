"""A two-way connection between a process and its fork, fast for models."""

import os
from multiprocessing.connection import Connection, Pipe
from typing import Any, Self

from fedlearn_helpers.simulation.packing import dump, load

_LARGE = 16_384  # bytes; below that a pipe is as fast


class Channel:
    """One end of a pipe; large byte strings take a short cut through a file in memory that both ends have open.

    A pipe is a bucket of 200 kB that the two processes fill and empty alternately: a model of 44 MB takes 200 of
    them. The file takes a byte string at once, and has room for one thing at a time, so the ends must
    alternate: what was sent has to be received before either end sends again. Linux only.
    """

    def __init__(self, pipe: Connection, memory: int) -> None:
        self._pipe, self._memory = pipe, memory

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """Return the two ends of a new channel. Each process closes the end that it does not use."""
        memory = os.memfd_create("fedlearn")
        ours, theirs = Pipe()
        return cls(ours, memory), cls(theirs, os.dup(memory))

    def send(self, thing: object) -> None:
        """Send anything that can be pickled.

        Raises:
            OSError: the other end is closed.
        """
        end = 0

        def set_aside(data: bytes) -> tuple[int, int] | None:
            nonlocal end
            if len(data) < _LARGE:
                return None
            place = (end, len(data))
            _write(self._memory, data, end)
            end += len(data)
            return place

        self._pipe.send_bytes(dump(thing, set_aside))

    def receive(self) -> Any:
        """Wait for the next thing and return it.

        Raises:
            EOFError: the other end is closed.
        """
        return load(self._pipe.recv_bytes(), lambda place: _read(self._memory, *place))

    def close(self) -> None:
        """Close this end; the other one's `receive` then raises EOFError."""
        self._pipe.close()
        os.close(self._memory)

    def fileno(self) -> int:
        """Return the number by which `multiprocessing.connection.wait` waits for this end."""
        return self._pipe.fileno()


def _write(file: int, data: bytes, start: int) -> None:
    """Write all of the data: the system takes at most 2 GB at a time."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file, rest, start)
        rest, start = rest[written:], start + written


def _read(file: int, start: int, size: int) -> bytes:
    """Read all of the data, which the sender has written."""
    parts = []
    while size > 0:
        parts.append(os.pread(file, size, start))
        start, size = start + len(parts[-1]), size - len(parts[-1])
    return parts[0] if len(parts) == 1 else b"".join(parts)

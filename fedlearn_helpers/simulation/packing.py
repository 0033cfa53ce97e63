"""Records on their way between server and client: a copy that shares nothing which can be changed."""

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flwr.app import RecordDict


@dataclass(frozen=True)
class PackedRecords:
    """A packed RecordDict.

    Attributes:
        frame: the records without their byte strings, pickled.
        arrays: the byte strings, nearly all of the size. They cannot change, so all copies share them.
    """

    frame: bytes
    arrays: tuple[bytes, ...]


def pack(content: RecordDict) -> PackedRecords:
    """Return what `unpack` needs to make a copy."""
    arrays: list[bytes] = []

    def set_aside(data: bytes) -> int:
        arrays.append(data)
        return len(arrays) - 1

    return PackedRecords(dump(content, set_aside), tuple(arrays))


def unpack(packed: PackedRecords) -> RecordDict:
    """Return a new copy of what was packed; it may be changed without a trace elsewhere."""
    return load(packed.frame, packed.arrays.__getitem__)


def dump(thing: object, set_aside: Callable[[bytes], Any]) -> bytes:
    """Pickle a thing without its byte strings.

    Args:
        thing: what to pickle.
        set_aside: called with each byte string in it; returns what stands for it in the pickle, or None to
            leave the bytes where they are.
    """
    file = io.BytesIO()
    pickler = _Pickler(file, pickle.HIGHEST_PROTOCOL)
    pickler.set_aside = set_aside
    pickler.dump(thing)
    return file.getvalue()


def load(frame: bytes, fetch: Callable[[Any], bytes]) -> Any:
    """Return a new thing from what `dump` made; `fetch` finds a byte string by what stands for it."""
    unpickler = _Unpickler(io.BytesIO(frame))
    unpickler.persistent_load = fetch
    return unpickler.load()


class _Pickler(pickle.Pickler):
    set_aside: Callable[[bytes], Any]

    def persistent_id(self, thing: object) -> Any:
        """Pickle asks this about every object: what is stored in its place, or None to store the object."""
        return self.set_aside(thing) if type(thing) is bytes else None


class _Unpickler(pickle.Unpickler):
    persistent_load: Callable[[Any], bytes]

"""A record of arrays as one array of bytes: a head in JSON, arrays of whole numbers as they are, encoded floats.

One array, because Flower spends 128 bytes on the header of each.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord

from fedlearn_helpers.communication.codec import Codec, Memory
from fedlearn_helpers.errors import InputError

Arrays = dict[str, np.ndarray]
_KEY = "packed"  # of the one array in a record
_SIZE_BYTES = 4


def arrays_of(record: Mapping[str, Array]) -> Arrays:
    """Return the arrays of a record by name."""
    return {name: array.numpy() for name, array in record.items()}


def record_of(arrays: Mapping[str, np.ndarray]) -> ArrayRecord:
    """Undo `arrays_of`."""
    return ArrayRecord({name: Array(array) for name, array in arrays.items()})


def join(head: Mapping[str, Any], body: bytes) -> ArrayRecord:
    """Return a record with one array of bytes."""
    written = json.dumps(head, separators=(",", ":")).encode()
    data = len(written).to_bytes(_SIZE_BYTES, "little") + written + body
    return ArrayRecord({_KEY: Array(np.frombuffer(data, np.uint8))})


def separate(record: Mapping[str, Array]) -> tuple[dict[str, Any], bytes]:
    """Undo `join`.

    Raises:
        InputError: the record is none of `join`'s.
    """
    if list(record) != [_KEY]:
        raise InputError(
            f"a message must have been compressed, got arrays named {sorted(record)[:3]}: the other side has no "
            "compression"
        )
    data = record[_KEY].numpy().tobytes()
    end = _SIZE_BYTES + int.from_bytes(data[:_SIZE_BYTES], "little")
    return json.loads(data[_SIZE_BYTES:end]), data[end:]


def description(arrays: Mapping[str, np.ndarray]) -> list[list[Any]]:
    """Return names, dtypes and shapes, for JSON."""
    return [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]


def zeros(described: Sequence[Sequence[Any]]) -> Arrays:
    """Return zeros of these names, dtypes and shapes."""
    return {name: np.zeros(shape, dtype) for name, dtype, shape in described}


def zeros_like(arrays: Mapping[str, np.ndarray]) -> Arrays:
    """Return zeros in place of all numbers."""
    return {name: np.zeros_like(array) for name, array in arrays.items()}


def floats_in(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Return the names of arrays of floats; others (counters, flags) are sent as they are."""
    return [name for name, array in arrays.items() if array.dtype.kind == "f"]


def encode_arrays(
    codec: Codec, arrays: Arrays, base: Arrays, seed: int, memory: Memory, rest: Mapping[str, np.ndarray] | None = None
) -> tuple[bytes, Arrays, Arrays]:
    """Encode what arrays differ by from those that the receiver has.

    Args:
        codec: does it; a lossless one encodes the arrays themselves.
        arrays: what the receiver should have.
        base: what it has: the same names, shapes and dtypes.
        seed, memory: as in `Codec.encode`.
        rest: what earlier messages lacked, by name, to be sent now; zero where there is no such name.

    Returns:
        The bytes, the arrays that the receiver will have, and what the message lacks.
    """
    names = floats_in(arrays)
    kept = b"".join(np.ascontiguousarray(array).tobytes() for name, array in arrays.items() if name not in names)
    if codec.lossless:
        return kept + codec.encode([arrays[name] for name in names], seed, memory), arrays, {}
    updates = [np.asarray(arrays[name], np.float32) - np.asarray(base[name], np.float32) for name in names]
    if rest:
        updates = [update + rest[name] if name in rest else update for name, update in zip(names, updates, strict=True)]
    data = codec.encode(updates, seed, memory)
    sent = codec.decode(data, updates)
    lacking = {name: update - part for name, update, part in zip(names, updates, sent, strict=True)}
    return kept + data, _moved(arrays, base, dict(zip(names, sent, strict=True))), lacking


def decode_arrays(codec: Codec, data: bytes, base: Arrays) -> Arrays:
    """Return what the receiver then has, of what it had."""
    names, whole, start = floats_in(base), dict(base), 0
    for name in base:
        if name not in names:
            array = base[name]
            whole[name] = np.frombuffer(data, array.dtype, array.size, start).reshape(array.shape).copy()
            start += array.nbytes
    decoded = dict(zip(names, codec.decode(data[start:], [base[name] for name in names]), strict=True))
    return whole | decoded if codec.lossless else _moved(whole, base, decoded)


def _moved(arrays: Arrays, base: Arrays, updates: Arrays) -> Arrays:
    """Return the base plus updates, in the base's dtypes; the same bits at both ends."""
    moved = {name: (base[name] + update).astype(base[name].dtype) for name, update in updates.items()}
    return arrays | moved

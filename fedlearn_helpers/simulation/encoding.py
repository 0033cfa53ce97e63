"""Records and plain values as bytes, for files. Nothing is pickled: to read a file runs no code of whoever wrote it."""

import hashlib
import io
import json
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

_ROWS: dict[str, Any] = {kind.__name__: kind for kind in (list, tuple, set, frozenset)}
_TABLES: dict[str, Any] = {
    kind.__name__: kind for kind in (dict, OrderedDict, RecordDict, ArrayRecord, MetricRecord, ConfigRecord)
}


def encode(value: object) -> list[bytes]:
    """Return byte strings; joined, they are what `decode` makes an equal value of, bit for bit.

    Args:
        value: None, a number, text, bytes, a NumPy array or number, a tensor, one of Flower's records, or a list,
            tuple, set or dict of such.

    Raises:
        TypeError: anything else.
    """
    blobs: list[bytes] = []
    tree = _to_tree(value, blobs)
    return [json.dumps([tree, [len(blob) for blob in blobs]]).encode() + b"\n", *blobs]


def decode(data: bytes) -> Any:
    """Return the value that was encoded.

    Raises:
        ValueError: the bytes are not what `encode` returned.
    """
    try:
        end = data.index(b"\n") + 1
        tree, sizes = json.loads(data[:end])
        view, blobs = memoryview(data), []
        for size in sizes:
            blobs.append(bytes(view[end : end + size]))
            end += size
        if end != len(data):
            raise ValueError(f"{len(data)} bytes, and {end} were written")
        return _from_tree(tree, blobs)
    except Exception as error:  # what half a file, or somebody else's, raises has many names
        raise ValueError(f"these bytes are damaged or of something else: {error}") from error


def seal(head: bytes, value: object) -> bytes:
    """Return a file: what it is, a hash of its content, and the content, so that one damaged byte is noticed.

    Args:
        head: a line that says what the file is, and in which version of its format.
        value: as `encode` takes it.

    Raises:
        TypeError: anything else.
    """
    parts, digest = encode(value), hashlib.sha256()
    for part in parts:
        digest.update(part)
    return b"".join([head, digest.hexdigest().encode(), b"\n", *parts])


def unseal(head: bytes, file: bytes) -> Any:
    """Return the value in a file that `seal` made.

    Raises:
        ValueError: it is no such file, or not as it was written.
    """
    seal_end = len(head) + 65
    content = file[seal_end:]
    if file[:seal_end] != head + hashlib.sha256(content).hexdigest().encode() + b"\n":
        raise ValueError("this is another file, or a damaged one")
    return decode(content)


def _to_tree(value: Any, blobs: list[bytes]) -> Any:
    """Return a value for JSON: what JSON knows as it is, and anything else as a list [kind, content]."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is bytes:
        return ["bytes", _set_aside(value, blobs)]
    if kind in _ROWS.values():
        return [kind.__name__, [_to_tree(entry, blobs) for entry in value]]
    if kind in _TABLES.values():
        return [kind.__name__, [[_to_tree(name, blobs), _to_tree(entry, blobs)] for name, entry in value.items()]]
    if kind is Array:
        return ["Array", [value.dtype, list(value.shape), value.stype, _set_aside(value.data, blobs)]]
    if (kind is np.ndarray or isinstance(value, np.generic)) and not value.dtype.hasobject:
        return ["number" if isinstance(value, np.generic) else "array", _set_aside(_npy(value), blobs)]
    if kind is torch.Tensor and not value.requires_grad:
        return ["tensor", [str(value.device), _set_aside(_npy(value.cpu().numpy()), blobs)]]
    raise TypeError(f"a {kind.__qualname__} cannot be written as data")


def _from_tree(tree: Any, blobs: list[bytes]) -> Any:
    if not isinstance(tree, list):
        return tree
    kind, content = tree
    if kind in _ROWS:
        return _ROWS[kind](_from_tree(entry, blobs) for entry in content)
    if kind in _TABLES:
        return _TABLES[kind]({_from_tree(name, blobs): _from_tree(entry, blobs) for name, entry in content})
    if kind == "Array":
        dtype, shape, stype, place = content
        return Array(dtype, tuple(shape), stype, blobs[place])
    if kind == "tensor":
        device, place = content
        return torch.from_numpy(_read_npy(blobs[place])).to(device)
    if kind == "number":
        return _read_npy(blobs[content])[()]
    if kind == "array":
        return _read_npy(blobs[content])
    if kind == "bytes":
        return blobs[content]
    raise ValueError(f"an unknown kind {kind!r}")


def _set_aside(data: bytes, blobs: list[bytes]) -> int:
    """Put bytes behind the JSON; return their place there."""
    blobs.append(data)
    return len(blobs) - 1


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _read_npy(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data), allow_pickle=False)

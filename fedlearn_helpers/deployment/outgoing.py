"""What leaves a hospital, message by message, as its SuperNode sees it."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

from fedlearn_helpers.errors import InputError

_BINS, _FEWEST = 16, 1000
_MOST_CHI_SQUARE = 60.0  # of 15 degrees of freedom: uniform numbers exceed it once in 4 million times
_MOST_LETTERS = 60


@dataclass(frozen=True)
class SentReply:
    """One message from a hospital to the server.

    Attributes:
        time: of this machine's clock, in seconds since 1970.
        run_id: Flower's number of the run.
        kind: "query", "train" or "evaluate".
        round: as the message says; "" where it says none.
        records: names of what is in it.
        numbers: how many numbers its arrays and metrics have.
        bytes: of the message with all that belongs to it, TLS and HTTP not counted.
        norm: Euclidean norm of all arrays of floats together; None where there are none.
        masked: whether all arrays look like uniform numbers of 32 bits; None where there are none. Whoever wants to can
            make other numbers look so.
        values: metrics and settings by "record.name"; of bytes how many.
        error: what it says instead, where the hospital answers with an error.
    """

    time: float
    run_id: int
    kind: str
    round: str
    records: tuple[str, ...]
    numbers: int
    bytes: int
    norm: float | None
    masked: bool | None
    values: Mapping[str, Any]
    error: str | None


def describe(message: Message, content: RecordDict | None, size: int) -> SentReply:
    """Return what is in a reply.

    Args:
        message: says what it answers, and the error, if there is one.
        content: of the message; None for an error.
        size: in bytes.
    """
    metadata = message.metadata
    head = (time.time(), metadata.run_id, metadata.message_type, metadata.group_id)
    if content is None:
        return SentReply(*head, (), 0, size, None, None, {}, message.error.reason or f"error {message.error.code}")
    arrays: list[np.ndarray] = []
    values: dict[str, Any] = {}
    numbers = 0
    for name, record in content.items():
        if isinstance(record, ArrayRecord):
            arrays += [array.numpy().reshape(-1) for array in record.values()]
            continue
        for key, value in record.items():
            values[f"{name}.{key}"] = _short(value)
            if isinstance(record, MetricRecord):
                numbers += len(value) if isinstance(value, list) else 1
    numbers += sum(len(array) for array in arrays)
    floats = [array for array in arrays if np.issubdtype(array.dtype, np.floating)]
    norm = math.sqrt(sum(float(np.square(array.astype(np.float64)).sum()) for array in floats)) if floats else None
    masked = all(looks_masked(array) for array in arrays) if arrays else None
    return SentReply(*head, tuple(content), numbers, size, norm, masked, values, None)


def looks_masked(numbers: np.ndarray) -> bool:
    """Return whether at least 1000 numbers look like uniform ones of 32 bits: a chi-square test of their first four.

    Small numbers that were not masked have these bits all 0 or all 1.

    Args:
        numbers: (n,) of any type; only uint32 can be masked.
    """
    if numbers.dtype != np.uint32 or len(numbers) < _FEWEST:
        return False
    counts, expected = np.bincount(numbers >> 28, minlength=_BINS), len(numbers) / _BINS
    return float(np.square(counts - expected).sum() / expected) < _MOST_CHI_SQUARE


def write_down(path: Path, reply: SentReply) -> None:
    """Add a reply to a log, a line of JSON for each."""
    with path.open("a") as file:
        file.write(json.dumps(asdict(reply)) + "\n")


def read_sent(path: Path) -> tuple[SentReply, ...]:
    """Read a log; empty where there is none yet.

    Raises:
        InputError: it is damaged.
    """
    if not path.exists():
        return ()
    replies = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            reply = json.loads(line)
            replies.append(SentReply(**reply | {"records": tuple(reply["records"])}))
        except (ValueError, TypeError, KeyError):
            raise InputError(f"line {number} of the log is damaged: {str(path)!r}") from None
    return tuple(replies)


def _short(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, list) or (isinstance(value, str) and len(value) > _MOST_LETTERS):
        text = str(value)
        return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"
    return value

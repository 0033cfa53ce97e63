"""What every compressor is: numbers become bytes, and bytes become numbers again."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from fedlearn_helpers.errors import InputError

Tensors = Sequence[np.ndarray]
Memory = dict[str, np.ndarray]
"""What a compressor keeps at its sender from one message to the next; most keep nothing."""


class Codec(ABC):
    """A compressor. The tensors that it encodes are an update: what is to be sent minus what the receiver has.

    Attributes:
        feedback: error feedback: what a message lacks is added to the sender's next update.
        lossless: whether what is decoded is what was encoded, bit for bit. Such a codec sends models, not updates.
    """

    feedback: bool = False
    lossless: ClassVar[bool] = False

    @property
    def contracts(self) -> bool:
        """Whether what a message lacks is smaller than the update: otherwise feedback makes errors grow."""
        return True

    def check(self, tensors: Tensors) -> None:  # noqa: B027 - most can encode everything
        """Raise an InputError if such tensors cannot be encoded as asked."""

    @abstractmethod
    def encode(self, tensors: Tensors, seed: int, memory: Memory) -> bytes:
        """Return the bytes of a message.

        Args:
            tensors: floats of any shapes; lossy codecs take them as float32.
            seed: decides what is random.
            memory: the sender's, changed in place.
        """

    @abstractmethod
    def decode(self, data: bytes, like: Tensors) -> list[np.ndarray]:
        """Return the tensors of a message, in float32 where the codec is lossy.

        Args:
            data: what `encode` returned.
            like: any tensors of the shapes and dtypes that were encoded.
        """


def flat(tensors: Tensors) -> np.ndarray:
    """Return all numbers in one float32 vector, in the order of the tensors."""
    parts = [np.asarray(tensor, np.float32).reshape(-1) for tensor in tensors]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def unflat(vector: np.ndarray, like: Tensors) -> list[np.ndarray]:
    """Undo `flat`."""
    parts = np.split(vector, np.cumsum([tensor.size for tensor in like], dtype=np.int64))  # and nothing behind the last
    return [part.reshape(tensor.shape) for part, tensor in zip(parts[:-1], like, strict=True)]


def count_of(share: float, size: int) -> int:
    """Return k, how many of so many numbers are a share of them: one at least, where there are any."""
    return min(size, max(1, round(share * size)))


def check_flag(name: str, value: object) -> None:
    """Raise an InputError if a value is not True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False, got {value!r}")

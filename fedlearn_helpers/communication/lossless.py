"""Lossless packing: the bytes of the floats, or a zip of them.

Little comes of it: the low bits of a trained weight are as good as random, and what is random cannot be packed. The
algorithm is that of zip files (deflate: RFC 1951, https://www.rfc-editor.org/rfc/rfc1951).
"""

import zlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedlearn_helpers.communication.codec import Codec, Memory, Tensors
from fedlearn_helpers.errors import InputError, as_whole_number


@dataclass(frozen=True)
class Lossless(Codec):
    """All bytes of the numbers.

    Attributes:
        level: 0 sends them as they are; 1 (fast) to 9 (small) zips them.

    Raises:
        InputError: another level.
    """

    level: int = 0
    lossless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if (level := as_whole_number(self.level)) is None or not 0 <= level <= 9:
            raise InputError(f"level must be a whole number from 0 to 9, got {self.level!r}")

    def encode(self, tensors: Tensors, seed: int, memory: Memory) -> bytes:
        """See `Codec`."""
        data = b"".join(np.ascontiguousarray(tensor).tobytes() for tensor in tensors)
        return zlib.compress(data, self.level) if self.level else data

    def decode(self, data: bytes, like: Tensors) -> list[np.ndarray]:
        """See `Codec`."""
        data = zlib.decompress(data) if self.level else data
        decoded, start = [], 0
        for tensor in like:
            decoded.append(np.frombuffer(data, tensor.dtype, tensor.size, start).reshape(tensor.shape).copy())
            start += tensor.nbytes
        return decoded


WHOLE = Lossless()
"""Sends all numbers as they are: a whole copy for a client that has none, or an old one."""

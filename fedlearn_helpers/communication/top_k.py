"""Top-k: the k numbers of an update with the largest magnitudes, and where they stand.

    C(x)_j = x_j for the k largest |x_j|, 0 for the others

It is biased: what is small never arrives, unless error feedback adds it up until it is large. An index takes 2 bytes
in a vector of up to 65,536 numbers and 4 in a longer one, so a number takes 6 or 8 bytes in place of 4: k = d / 2 saves
nothing.

Sources: Aji and Heafield 2017, https://arxiv.org/abs/1704.05021; with feedback Stich et al. 2018,
https://arxiv.org/abs/1809.07599.
"""

from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.communication.codec import Codec, Memory, Tensors, check_flag, count_of, flat, unflat
from fedlearn_helpers.errors import check_number


@dataclass(frozen=True)
class TopK(Codec):
    """The largest numbers of an update.

    Attributes:
        share: k / d, in (0, 1]; at least one number is sent.
        feedback: whether the sender keeps what it did not send.

    Raises:
        InputError: a share that makes k lie outside the vector.
    """

    share: float
    feedback: bool = True

    def __post_init__(self) -> None:
        check_number("share", self.share, "> 0 and <= 1 (k numbers of d)", lambda share: 0 < share <= 1)
        check_flag("feedback", self.feedback)

    def encode(self, tensors: Tensors, seed: int, memory: Memory) -> bytes:
        """See `Codec`: indices, in order, then float32 values."""
        x = flat(tensors)
        k = count_of(self.share, x.size)
        kept = np.sort(np.argpartition(np.abs(x), x.size - k)[x.size - k :]) if k < x.size else np.arange(x.size)
        return kept.astype(_index(x.size)).tobytes() + x[kept].tobytes()

    def decode(self, data: bytes, like: Tensors) -> list[np.ndarray]:
        """See `Codec`."""
        x = np.zeros(sum(tensor.size for tensor in like), np.float32)
        k, index = count_of(self.share, x.size), np.dtype(_index(x.size))
        x[np.frombuffer(data, index, k)] = np.frombuffer(data, np.float32, k, k * index.itemsize)
        return unflat(x, like)


def _index(size: int) -> str:
    return "<u2" if size <= 2**16 else "<u4"

"""Random-k: k numbers of an update, drawn anew for every message. The seed is sent in place of the indices.

    C(x)_j = (d / k) x_j for k random j, 0 for the others        scaled: E C(x) = x
    C(x)_j = x_j, the same without the factor                    biased, and in need of error feedback

Scaled and with feedback it diverges: the message overshoots d / k times, and what it lacks is larger than the update.

Sources: Konecny et al. 2016, https://arxiv.org/abs/1610.05492 (random mask); Stich et al. 2018,
https://arxiv.org/abs/1809.07599.
"""

from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.communication.codec import Codec, Memory, Tensors, check_flag, count_of, flat, unflat
from fedlearn_helpers.errors import InputError, check_number

_SEED_BYTES = 8


@dataclass(frozen=True)
class RandomK(Codec):
    """Random numbers of an update.

    Attributes:
        share: k / d, in (0, 1]; at least one number is sent.
        scaled: whether they are multiplied by d / k, which makes the message right on average.
        feedback: whether the sender keeps what it did not send; not where they are scaled.

    Raises:
        InputError: a share that makes k lie outside the vector, or feedback for what is scaled.
    """

    share: float
    scaled: bool = True
    feedback: bool = False

    def __post_init__(self) -> None:
        check_number("share", self.share, "> 0 and <= 1 (k numbers of d)", lambda share: 0 < share <= 1)
        check_flag("scaled", self.scaled)
        check_flag("feedback", self.feedback)
        if self.scaled and self.feedback:
            raise InputError("feedback must be False where scaled is True, since the errors would grow, got True")

    @property
    def contracts(self) -> bool:
        """See `Codec`."""
        return not self.scaled

    def encode(self, tensors: Tensors, seed: int, memory: Memory) -> bytes:
        """See `Codec`: the seed, then float32 values."""
        x = flat(tensors)
        k = count_of(self.share, x.size)
        values = x[_drawn(seed, x.size, k)] * np.float32(x.size / k if self.scaled and k else 1)
        return seed.to_bytes(_SEED_BYTES, "little") + values.tobytes()

    def decode(self, data: bytes, like: Tensors) -> list[np.ndarray]:
        """See `Codec`."""
        x = np.zeros(sum(tensor.size for tensor in like), np.float32)
        k, seed = count_of(self.share, x.size), int.from_bytes(data[:_SEED_BYTES], "little")
        x[_drawn(seed, x.size, k)] = np.frombuffer(data, np.float32, k, _SEED_BYTES)
        return unflat(x, like)


def _drawn(seed: int, size: int, k: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(size)[:k]

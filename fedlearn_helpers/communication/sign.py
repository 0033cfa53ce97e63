"""Sign: one bit a number, and the mean magnitude of its tensor.

    C(x) = (||x||_1 / d) sign(x)

It is biased; with error feedback it converges as SGD does, and without it need not. A zero is sent as positive.

Source: Karimireddy et al. 2019, https://arxiv.org/abs/1901.09847 (EF-signSGD), algorithm 1.
"""

from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.communication.bits import pack_bits, unpack_bits
from fedlearn_helpers.communication.codec import Codec, Memory, Tensors, check_flag, flat, unflat


@dataclass(frozen=True)
class Sign(Codec):
    """The signs of an update.

    Attributes:
        feedback: whether the sender keeps what the signs do not say.

    Raises:
        InputError: `feedback` is not True or False.
    """

    feedback: bool = True

    def __post_init__(self) -> None:
        check_flag("feedback", self.feedback)

    def encode(self, tensors: Tensors, seed: int, memory: Memory) -> bytes:
        """See `Codec`: mean magnitudes, then signs."""
        means = [np.abs(tensor).mean(dtype=np.float64) if tensor.size else 0.0 for tensor in tensors]
        return np.array(means, np.float32).tobytes() + pack_bits(flat(tensors) >= 0, 1)

    def decode(self, data: bytes, like: Tensors) -> list[np.ndarray]:
        """See `Codec`."""
        sizes = [tensor.size for tensor in like]
        means = np.frombuffer(data, np.float32, len(like))
        signs = 2 * unpack_bits(data[means.nbytes :], 1, sum(sizes)).astype(np.float32) - 1
        return unflat(signs * np.repeat(means, sizes), like)

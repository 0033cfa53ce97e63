"""Quantization: a number becomes one of a few levels between -m and m, m the largest magnitude in its tensor.

    n = 2^b - 2 steps (1 where b = 1),  y = (x / m + 1) n / 2 in [0, n],  sent: q, and m once a tensor
    stochastic:  q = floor(y) + 1 with probability y - floor(y), else floor(y)       E C(x) = x
    nearest:     q = y rounded                                                       biased: with error feedback
    received:    x' = (2 q / n - 1) m

The number of steps is even, so 0 is a level: two bits are -m, 0, m. Codes of b bits are packed without gaps.

Sources: Alistarh et al. 2017, https://arxiv.org/abs/1610.02132 (stochastic levels); Wen et al. 2017,
https://arxiv.org/abs/1705.07878 (TernGrad: two bits, the largest magnitude as scale).
"""

from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.communication.bits import pack_bits, unpack_bits
from fedlearn_helpers.communication.codec import Codec, Memory, Tensors, check_flag, flat, unflat
from fedlearn_helpers.errors import InputError, as_whole_number

_LEAST_TO_CONTRACT = 4  # stochastic, with fewer bits: the error of a small number is larger than the number


@dataclass(frozen=True)
class Quantization(Codec):
    """A few bits a number, and a float32 scale a tensor.

    Attributes:
        bits: 1 to 16.
        stochastic: whether numbers are rounded up or down at random, which makes the message right on average.
        feedback: whether the sender keeps the rounding errors; not where they are random.

    Raises:
        InputError: other numbers of bits, or feedback for stochastic rounding.
    """

    bits: int
    stochastic: bool = True
    feedback: bool = False

    def __post_init__(self) -> None:
        check_bits(self.bits)
        check_flag("stochastic", self.stochastic)
        check_flag("feedback", self.feedback)
        if self.stochastic and self.feedback:
            raise InputError("feedback must be False where stochastic is True, which is right on average, got True")

    @property
    def contracts(self) -> bool:
        """See `Codec`."""
        if self.stochastic:
            return self.bits >= _LEAST_TO_CONTRACT
        return self.bits > 1  # one bit has no level for what is small: that is `Sign`, with another scale

    def encode(self, tensors: Tensors, seed: int, memory: Memory) -> bytes:
        """See `Codec`: scales, then codes."""
        scales = np.array([np.abs(tensor).max(initial=0) for tensor in tensors], np.float32)
        each = np.repeat(scales, [tensor.size for tensor in tensors])
        draws = np.random.default_rng(seed) if self.stochastic else None
        return scales.tobytes() + pack_bits(quantize(flat(tensors), each, self.bits, draws), self.bits)

    def decode(self, data: bytes, like: Tensors) -> list[np.ndarray]:
        """See `Codec`."""
        sizes = [tensor.size for tensor in like]
        scales = np.frombuffer(data, np.float32, len(like))
        codes = unpack_bits(data[scales.nbytes :], self.bits, sum(sizes))
        return unflat(dequantize(codes, np.repeat(scales, sizes), self.bits), like)


def check_bits(bits: object) -> None:
    """Raise an InputError unless there are 1 to 16 bits."""
    if (count := as_whole_number(bits)) is None or not 1 <= count <= 16:
        raise InputError(f"bits must be a whole number from 1 to 16, got {bits!r}")


def quantize(x: np.ndarray, scales: np.ndarray, bits: int, draws: np.random.Generator | None) -> np.ndarray:
    """Return the levels of numbers.

    Args:
        x: (n,) float32.
        scales: (n,) float32, >= |x|.
        bits: 1 to 16.
        draws: for stochastic rounding; None rounds to the nearest level.
    """
    steps = steps_of(bits)
    y = (x / np.where(scales > 0, scales, 1) + 1) * np.float32(steps / 2)
    q = np.rint(y) if draws is None else np.floor(y + draws.random(y.size, np.float32))
    return np.clip(q, 0, steps).astype(np.uint16)


def dequantize(codes: np.ndarray, scales: np.ndarray, bits: int) -> np.ndarray:
    """Return the numbers of levels: (n,) float32."""
    return (codes.astype(np.float32) * np.float32(2) / np.float32(steps_of(bits)) - np.float32(1)) * scales


def steps_of(bits: int) -> int:
    """Return n, the steps between the lowest and the highest level."""
    return max(2**bits - 2, 1)

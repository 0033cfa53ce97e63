"""Quantization: a number becomes one of a few levels between -m and m, with one m for each tensor.

    n = 2^b - 2 steps (1 where b = 1),  y = (x / m + 1) n / 2 in [0, n],  sent: q, and m once a tensor
    stochastic:  q = floor(y) + 1 with probability y - floor(y), else floor(y);  m = max |x|         E C(x) = x
    nearest:     q = y rounded, 0 to n;  m = <x, l> / <l, l> with the levels l = 2 q / n - 1         biased
    received:    x' = (2 q / n - 1) m

With b > 1 the number of steps is even, so 0 is a level: two bits are -m, 0, m. Codes are packed without gaps.

For the nearest levels, m has the least squared error: few numbers are near the largest one, and with that as m most
would become 0. Rounding and m depend on each other, and are found in turn (Lloyd's algorithm). The error is then
smaller than x, so error feedback can be used; with one bit m is the mean magnitude, and the codec is `Sign`. Above
four bits there are levels enough, and m is max |x| here, too.

Sources: Alistarh et al. 2017, https://arxiv.org/abs/1610.02132 (stochastic levels); Wen et al. 2017,
https://arxiv.org/abs/1705.07878 (TernGrad: two bits, the largest magnitude as scale).
"""

import functools
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.communication.bits import pack_bits, unpack_bits
from fedlearn_helpers.communication.codec import Codec, Memory, Tensors, check_flag, flat, unflat
from fedlearn_helpers.errors import InputError, as_whole_number

_MOST_TO_FIT = 4  # bits
_TURNS = 4  # of rounding and fitting
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
        return not self.stochastic or self.bits >= _LEAST_TO_CONTRACT

    def encode(self, tensors: Tensors, seed: int, memory: Memory) -> bytes:
        """See `Codec`: scales, then codes."""
        scale_of = _largest if self.stochastic else functools.partial(_fitted, bits=self.bits)
        scales = np.array([scale_of(np.asarray(tensor, np.float32).reshape(-1)) for tensor in tensors], np.float32)
        each = np.repeat(scales, [tensor.size for tensor in tensors])
        draws = np.random.default_rng(seed) if self.stochastic else None
        return scales.tobytes() + pack_bits(quantize(flat(tensors), each, self.bits, draws), self.bits)

    def decode(self, data: bytes, like: Tensors) -> list[np.ndarray]:
        """See `Codec`."""
        sizes = [tensor.size for tensor in like]
        scales = np.frombuffer(data, np.float32, len(like))
        codes = unpack_bits(data[scales.nbytes :], self.bits, sum(sizes))
        return unflat(dequantize(codes, np.repeat(scales, sizes), self.bits), like)


def _largest(x: np.ndarray) -> float:
    return float(np.abs(x).max(initial=0))


def _fitted(x: np.ndarray, bits: int) -> float:
    """Return the m whose nearest levels have the least squared error."""
    mean, largest = float(np.abs(x).mean()) if x.size else 0.0, _largest(x)
    if bits == 1:
        return mean
    if bits > _MOST_TO_FIT or mean == 0:
        return largest
    half = steps_of(bits) // 2
    m = min(mean * (0.2 + 0.9 * bits), largest)  # about right for a normal distribution
    for _ in range(_TURNS):
        levels = np.clip(np.rint(x / np.float32(m) * half), -half, half)
        m = half * float(x @ levels / (levels @ levels)) or m
    return m


def check_bits(bits: object) -> None:
    """Raise an InputError unless there are 1 to 16 bits."""
    if (count := as_whole_number(bits)) is None or not 1 <= count <= 16:
        raise InputError(f"bits must be a whole number from 1 to 16, got {bits!r}")


def quantize(x: np.ndarray, scales: np.ndarray, bits: int, draws: np.random.Generator | None) -> np.ndarray:
    """Return the levels of numbers.

    Args:
        x: (n,) float32.
        scales: (n,) float32, >= 0; numbers beyond get the outermost level.
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

"""QSGD: stochastic levels between minus and plus the Euclidean norm of a bucket of numbers.

    C(x)_j = ||x|| sign(x_j) xi_j,  xi_j one of the levels l / s, (l + 1) / s next to |x_j| / ||x||, right on average

with s = 2^(b-1) - 1 levels above 0. It is unbiased, and its error is at most min(d / s^2, sqrt(d) / s) ||x||^2 for a
bucket of d numbers; hence buckets, each with a float32 norm. Source: Alistarh et al. 2017,
https://arxiv.org/abs/1610.02132, section 3.1; buckets section 4. Codes are of b bits each here, packed; the paper's
Elias code would spend fewer on zeros.
"""

import math
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.communication.bits import pack_bits, unpack_bits
from fedlearn_helpers.communication.codec import Codec, Memory, Tensors, flat, unflat
from fedlearn_helpers.communication.quantization import check_bits, dequantize, quantize, steps_of
from fedlearn_helpers.errors import check_whole_number


@dataclass(frozen=True)
class QSGD(Codec):
    """A few bits a number, and a float32 norm a bucket; right on average, so it needs no feedback.

    Attributes:
        bits: 1 to 16.
        bucket: numbers that share a norm, >= 1.

    Raises:
        InputError: a value out of range.
    """

    bits: int
    bucket: int = 512

    def __post_init__(self) -> None:
        check_bits(self.bits)
        check_whole_number("bucket", self.bucket, 1)

    @property
    def contracts(self) -> bool:
        """See `Codec`."""
        levels = steps_of(self.bits) / 2
        return min(self.bucket / levels**2, math.sqrt(self.bucket) / levels) < 1

    def encode(self, tensors: Tensors, seed: int, memory: Memory) -> bytes:
        """See `Codec`: norms, then codes."""
        x = flat(tensors)
        starts = np.arange(0, x.size, self.bucket)
        norms = np.sqrt(np.add.reduceat(np.square(x, dtype=np.float64), starts)) if x.size else np.zeros(0)
        norms = norms.astype(np.float32)
        scales = np.repeat(norms, self.bucket)[: x.size]
        codes = quantize(x, scales, self.bits, np.random.default_rng(seed))
        return norms.tobytes() + pack_bits(codes, self.bits)

    def decode(self, data: bytes, like: Tensors) -> list[np.ndarray]:
        """See `Codec`."""
        size = sum(tensor.size for tensor in like)
        norms = np.frombuffer(data, np.float32, -(-size // self.bucket))
        codes = unpack_bits(data[norms.nbytes :], self.bits, size)
        return unflat(dequantize(codes, np.repeat(norms, self.bucket)[:size], self.bits), like)

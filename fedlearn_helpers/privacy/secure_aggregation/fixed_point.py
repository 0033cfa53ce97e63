"""Numbers that can be masked: floats and counts as whole numbers modulo 2^32, so that sums are exact.

    step = bound / (2^(bits-1) - 1)
    encoded: q = x / step, rounded to nearest, |q| <= 2^(bits-1) - 1, modulo 2^32
    decoded: the sum of up to 2^32 / 2^bits such q is in [-2^31, 2^31), so it is known without the modulus

Masks hide only numbers of a finite group: a float with a float added to it shows where it was, and loses digits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError, check_number, check_whole_number

MODULUS = 2**32
_MOST_BITS = 31


@dataclass(frozen=True)
class FixedPoint:
    """A way to write floats as whole numbers.

    Attributes:
        bound: of the numbers: each in [-bound, bound]; from 1e-30 to 1e30. What is beyond is refused, never clipped.
        bits: for each number, from 2 to 31.

    Raises:
        InputError: bound or bits out of range.
    """

    bound: float
    bits: int

    def __post_init__(self) -> None:
        check_number("bound", self.bound, "between 1e-30 and 1e30", lambda number: 1e-30 <= number <= 1e30)
        if check_whole_number("bits", self.bits, 2) > _MOST_BITS:
            raise InputError(f"bits must be at most {_MOST_BITS}, got {self.bits}")

    @property
    def step(self) -> float:
        """The distance of two numbers that can be told apart."""
        return self.bound / (2 ** (self.bits - 1) - 1)

    @property
    def largest_error(self) -> float:
        """The largest error by rounding of a number, and so of the mean of any number of clients."""
        return self.step / 2

    def check_clients(self, num_clients: int) -> None:
        """Check that the sum of so many clients' numbers is known without the modulus.

        Raises:
            InputError: num_clients * 2**bits > 2**32.
        """
        if num_clients * 2**self.bits > MODULUS:
            most = _MOST_BITS + 1 - (num_clients - 1).bit_length()
            raise InputError(
                f"bits must be at most {most} for {num_clients} clients, since num_clients * 2**bits must be <= 2**32, "
                f"got {self.bits}"
            )

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return floats as whole numbers: (n,) to (n,) uint32.

        Raises:
            InputError: a number that is not finite, or beyond the bound; the message names it.
        """
        values = np.asarray(values, np.float64)
        if not (finite := np.isfinite(values)).all():
            place = int(np.argmin(finite))
            raise InputError(f"vector must have finite numbers, got {values[place]} at {place}")
        if len(values) and (largest := np.abs(values).max()) > self.bound:
            place = int(np.argmax(np.abs(values)))
            raise InputError(
                f"vector must have numbers between -{self.bound:g} and {self.bound:g}, its bound, got "
                f"{values[place]:.6g} at {place}; take a bound above {largest:.6g}, or clip the vector before"
            )
        return np.rint(values / self.step).astype(np.int64).astype(np.uint32)

    def decode(self, total: np.ndarray) -> np.ndarray:
        """Return a sum of encoded vectors as floats: (n,) uint32 to (n,) float64."""
        return np.asarray(total, np.uint32).view(np.int32) * self.step


def encode_counts(counts: Sequence[int] | np.ndarray, *, most: int, num_clients: int) -> np.ndarray:
    """Return counts as they can be masked: (n,) uint32. Their sum needs no decoding.

    Args:
        counts: (n,) whole numbers in [0, most].
        most: >= 1; known to all, so no client's own.
        num_clients: >= 1, whose counts are added.

    Raises:
        InputError: a count out of range or not whole, or sums that could reach 2**32.
    """
    check_most("most", most, num_clients)
    values = np.asarray(counts)
    wrong = ~((values >= 0) & (values <= most) & (values == np.floor(values)))  # True for nan, too
    if wrong.any():
        raise InputError(f"counts must be whole numbers from 0 to {most}, got {values[wrong][0]}")
    return values.astype(np.uint32)


def check_most(name: str, most: int, num_clients: int) -> None:
    """Check that the sum of so many counts, each at most so large, is below 2**32.

    Raises:
        InputError: it may not be, or an argument is no whole number >= 1.
    """
    check_whole_number(name, most, 1)
    check_whole_number("num_clients", num_clients, 1)
    if num_clients * most >= MODULUS:
        raise InputError(f"{name} must be at most {(MODULUS - 1) // num_clients} for {num_clients} clients, got {most}")

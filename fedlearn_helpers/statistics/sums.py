"""Sums of int64 that are exact or refused: NumPy's own wrap in silence. And their digits, for a sum modulo 2^32.

    x = d_0 + 2^16 d_1 + 2^32 d_2 + 2^48 d_3          0 <= d_0, d_1, d_2 < 2^16, and -2^15 <= d_3 < 2^15
    sum of x = sum of d_0 + 2^16 sum of d_1 + ...     the sum of up to 2^16 such digits is known from it modulo 2^32

A secure sum masks numbers modulo 2^32. A sum of int64 does not fit, so their digits are added, each for itself.
"""

import numpy as np

from fedlearn_helpers.errors import InputError

DIGITS = 4
DIGIT_BITS = 16
MOST_SITES = 2**16
"""Whose digits may be added modulo 2^32."""

_DIGIT = 2**DIGIT_BITS - 1
_HALF = 32
_SMALLER = "take larger steps, or subtract a number near them from all values"


def add_exactly(name: str, numbers: np.ndarray) -> np.ndarray:
    """Return the sum over the first axis.

    Args:
        name: of the numbers, for the message.
        numbers: int64 (k, ...), with k < 2^31.

    Returns:
        int64 (...); zeros for k = 0.

    Raises:
        InputError: a sum is no int64.
    """
    low = (numbers & (2**_HALF - 1)).sum(axis=0)
    high = (numbers >> _HALF).sum(axis=0) + (low >> _HALF)
    _check_range(name, high, _HALF - 1)
    return (high << _HALF) | (low & (2**_HALF - 1))


def square_exactly(name: str, numbers: np.ndarray) -> np.ndarray:
    """Return the squares of int64, of the same shape.

    Raises:
        InputError: a square is no int64.
    """
    most = 3_037_000_499  # the largest whole number whose square is below 2^63
    if ((numbers > most) | (numbers < -most)).any():
        raise InputError(f"{name} must be at most {most} in size for its squares to be int64: {_SMALLER}")
    return numbers * numbers


def to_digits(numbers: np.ndarray) -> np.ndarray:
    """Return int64 (d,) as digits that a secure sum can add: (4 d,) uint32."""
    digits = numbers[:, None] >> (DIGIT_BITS * np.arange(DIGITS))  # of a negative number, too: it shifts with the sign
    digits[:, :-1] &= _DIGIT
    return digits.astype(np.uint32).reshape(-1)


def from_digits(name: str, total: np.ndarray) -> np.ndarray:
    """Return the sum of the numbers from the sum modulo 2^32 of the digits of up to `MOST_SITES` of them.

    Args:
        name: of the numbers, for the message.
        total: (4 d,) uint32.

    Returns:
        int64 (d,).

    Raises:
        InputError: a sum is no int64.
    """
    digits = np.ascontiguousarray(total.reshape(-1, DIGITS).T)
    *lower, highest = [*digits[:-1].astype(np.int64), digits[-1].view(np.int32).astype(np.int64)]
    number, carried = np.zeros_like(highest), np.zeros_like(highest)
    for place, digit in enumerate(lower):
        digit = digit + carried
        number |= (digit & _DIGIT) << (DIGIT_BITS * place)
        carried = digit >> DIGIT_BITS
    highest = highest + carried
    _check_range(name, highest, DIGIT_BITS - 1)
    return number | (highest << (DIGIT_BITS * (DIGITS - 1)))


def _check_range(name: str, highest: np.ndarray, bits: int) -> None:
    if ((highest < -(2**bits)) | (highest >= 2**bits)).any():
        raise InputError(f"{name} must have a sum between -2^63 and 2^63 - 1: {_SMALLER}")

"""Where secrets come from: the operating system; or a seed, where a picture shall repeat and nothing is secret."""

import secrets
from collections.abc import Callable

import numpy as np

from fedlearn_helpers.seeds import derive_seed

RandomBytes = Callable[[int], bytes]
"""Called with a number of bytes, returns so many random ones."""

system_bytes: RandomBytes = secrets.token_bytes


def teaching_bytes(seed: int, *path: int | str) -> RandomBytes:
    """Return a source of the same bytes in every run, for figures and tests. **Not secure.**

    Who knows the seed knows all keys; and NumPy's generator is not made for secrets, whatever its seed.

    Args:
        seed: in [0, 2**63).
        path: as in `derive_seed`; each path has other bytes.

    Raises:
        InputError: a seed out of range.
    """
    return np.random.default_rng(derive_seed(seed, "secure aggregation", *path)).bytes


def number_below(limit: int, random: RandomBytes) -> int:
    """Return a uniform whole number in [0, limit): numbers with as many bits are drawn until one is below it."""
    bits = (limit - 1).bit_length()
    while True:
        number = int.from_bytes(random((bits + 7) // 8), "little") >> (-bits % 8)
        if number < limit:
            return number

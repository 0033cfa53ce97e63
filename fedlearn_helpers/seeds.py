"""Seeds as values: one number per run, from which every other seed is derived."""

import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive_seed(seed: int, *path: int | str) -> int:
    """Return a seed in [0, 2**63) for one place in a run, such as `derive_seed(0, "train", 3, 7)`.

    Different paths give independent streams (NumPy's SeedSequence), the same path always gives
    the same number, on every machine and in every process.

    Args:
        seed: the seed of the run, >= 0.
        path: names and numbers (>= 0) that lead to the place.
    """
    key = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in path]
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0] >> 1)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python's, NumPy's and PyTorch's global generators inside the block, then restore them."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)

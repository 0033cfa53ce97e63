"""Seeds as values: one number per run, from which every other seed is derived."""

import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from fedlearn_helpers.errors import check_whole_number


def derive_seed(seed: int, *path: int | str) -> int:
    """Return a seed in [0, 2**63) for one place in a run, such as `derive_seed(0, "train", 3, 7)`.

    Different paths give independent streams (NumPy's SeedSequence), the same path always gives
    the same number, on every machine and in every process.

    Args:
        seed: the seed of the run, a whole number >= 0; an InputError if it is not.
        path: names and numbers (>= 0) that lead to the place.
    """
    seed = check_whole_number("seed", seed, 0)
    key = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in path]
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0] >> 1)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python's, NumPy's and PyTorch's global generators inside the block, with a number >= 0, then restore them.

    CUDA's generators are left alone until CUDA is in use: `torch.manual_seed` would keep a list of
    seeds for the day it is, which costs milliseconds and memory with every call.
    """
    seed = check_whole_number("seed", seed, 0)
    cuda = torch.cuda.is_initialized()
    python_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda_states = torch.cuda.get_rng_state_all() if cuda else []
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.default_generator.manual_seed(seed % 2**64)
        if cuda:
            torch.cuda.manual_seed_all(seed % 2**64)
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        if cuda:
            torch.cuda.set_rng_state_all(cuda_states)

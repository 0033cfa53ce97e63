"""Seeds as values: one number per run, from which every other seed is derived."""

import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from fedlearn_helpers.errors import InputError, as_whole_number

_LIMIT = 2**63  # what PyTorch's generators take, and what `derive_seed` stays below


def check_seed(seed: object, name: str = "seed") -> int:
    """Return a seed as Python's own integer, whatever kind of integer it is: NumPy's are integers, too.

    Args:
        seed: what was given.
        name: of the argument, for the message.

    Raises:
        InputError: no whole number, or one outside [0, 2**63).
    """
    value = as_whole_number(seed)
    if value is None:
        raise InputError(f"{name} must be a whole number, got {seed!r}")
    if not 0 <= value < _LIMIT:
        raise InputError(f"{name} must be {'>= 0' if value < 0 else '< 2**63'}, got {value}")
    return value


def derive_seed(seed: int, *path: int | str) -> int:
    """Return a seed in [0, 2**63) for one place in a run, such as `derive_seed(0, "train", 3, 7)`.

    Different paths give independent streams (NumPy's SeedSequence), the same path always gives
    the same number, on every machine and in every process.

    Args:
        seed: the seed of the run, in [0, 2**63).
        path: names and numbers (>= 0) that lead to the place.

    Raises:
        InputError: a seed out of range.
    """
    key = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in path]
    return int(np.random.SeedSequence(check_seed(seed), spawn_key=key).generate_state(1, np.uint64)[0] >> 1)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python's, NumPy's and PyTorch's global generators inside the block, then restore them.

    CUDA's generators are left alone until CUDA is in use: `torch.manual_seed` would keep a list of
    seeds for the day it is, which costs milliseconds and memory with every call.

    Raises:
        InputError: a seed outside [0, 2**63).
    """
    seed = check_seed(seed)
    cuda = torch.cuda.is_initialized()
    python_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda_states = torch.cuda.get_rng_state_all() if cuda else []
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed_all(seed)
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        if cuda:
            torch.cuda.set_rng_state_all(cuda_states)

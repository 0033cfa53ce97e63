"""Which client holds which examples, as arrays of indices into the data set."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError


@dataclass(frozen=True)
class Shard:
    """One client's data, as indices into the training set; the two parts do not overlap.

    Attributes:
        train: (n,) int64, sorted.
        validation: (m,) int64, sorted.
    """

    train: np.ndarray
    validation: np.ndarray


def iid(num_examples: int, num_clients: int, *, seed: int) -> list[np.ndarray]:
    """Deal the examples out at random, as equally as possible: every client sees the same mixture.

    IID: independent and identically distributed.

    Args:
        num_examples: size of the data set.
        num_clients: number of parts, in [1, num_examples].
        seed: decides who gets what.

    Returns:
        One sorted int64 array of indices per client; they are disjoint, cover the data, and
        their sizes differ by at most one.

    Raises:
        InputError: num_clients below 1 or above num_examples.
    """
    if not 1 <= num_clients <= num_examples:
        raise InputError(f"num_clients must be between 1 and the {num_examples} training examples, got {num_clients}")
    order = np.random.default_rng(seed).permutation(num_examples)
    return [np.sort(part) for part in np.array_split(order, num_clients)]


def split_train_validation(parts: Sequence[np.ndarray], *, validation_fraction: float, seed: int) -> list[Shard]:
    """Split every client's examples at random into one part to train on and one to measure on.

    Args:
        parts: one array of indices per client, each with at least two entries.
        validation_fraction: share kept for validation, in (0, 1); at least one example goes to each side.
        seed: decides the split.

    Raises:
        InputError: a fraction outside (0, 1), or a client with fewer than two examples.
    """
    if not 0 < validation_fraction < 1:
        raise InputError(f"validation_fraction must be > 0 and < 1, got {validation_fraction}")
    smallest = min(len(part) for part in parts)
    if smallest < 2:
        raise InputError(
            "every client needs at least 2 examples, one to train on and one to validate on: "
            f"num_clients={len(parts)} leaves a client with {smallest}; use fewer clients"
        )
    rng = np.random.default_rng(seed)
    shards = []
    for part in parts:
        order = rng.permutation(part)
        held_out = min(max(round(len(part) * validation_fraction), 1), len(part) - 1)
        shards.append(Shard(train=np.sort(order[held_out:]), validation=np.sort(order[:held_out])))
    return shards

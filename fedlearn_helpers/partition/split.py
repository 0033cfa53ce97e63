"""A client's data: examples to train on, and examples to measure on."""

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


def split_train_validation(
    parts: Sequence[np.ndarray], *, validation_fraction: float, seed: int, labels: np.ndarray | None = None
) -> list[Shard]:
    """Split every client's examples at random into one part to train on and one to measure on.

    Args:
        parts: one array of indices per client, each with at least two entries.
        validation_fraction: share kept for validation, in (0, 1); each part gets at least one example.
        seed: decides the split.
        labels: (n,) the class of each example of the data set. With them both parts of a client's data have its
            mixture of classes, as closely as whole numbers allow; without them, on average.

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
        if labels is not None:
            order = _spread_classes(order, np.asarray(labels)[order])
        held_out = min(max(round(len(part) * validation_fraction), 1), len(part) - 1)
        shards.append(Shard(train=np.sort(order[held_out:]), validation=np.sort(order[:held_out])))
    return shards


def _spread_classes(order: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Reorder examples so that the first n, for any n, have nearly the mixture of classes of all."""
    classes, sizes = np.unique(labels, return_counts=True)
    places = np.empty(len(order))
    for k, size in zip(classes, sizes, strict=True):
        places[labels == k] = (np.arange(size) + 0.5) / size
    return order[np.argsort(places, kind="stable")]

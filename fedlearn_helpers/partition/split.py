"""A client's data: examples to train on, and examples to measure on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.partition.checks import check_labels, new_generator


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
            mixture of classes: each class has its share of the places for validation, rounded up or down, and over
            many seeds exactly its share. Without them, they have it on average.

    Raises:
        InputError: no clients, a client with fewer than two examples, a fraction outside (0, 1), or labels that are
            not one whole number per example.
    """
    check_number("validation_fraction", validation_fraction, "> 0 and < 1", lambda share: 0 < share < 1)
    if len(parts) == 0:
        raise InputError("parts must hold the examples of at least one client, got none")
    smallest = min(len(part) for part in parts)
    if smallest < 2:
        raise InputError(
            "every client needs at least 2 examples, one to train on and one to validate on: "
            f"num_clients={len(parts)} leaves a client with {smallest}; use fewer clients"
        )
    if labels is not None:
        labels = check_labels(labels)
    rng = new_generator(seed)
    shards = []
    for part in parts:
        order = rng.permutation(part)
        held_out = min(max(round(len(part) * validation_fraction), 1), len(part) - 1)
        if labels is not None:
            order = _proportional_first(order, labels[order], held_out, rng)
        shards.append(Shard(train=np.sort(order[held_out:]), validation=np.sort(order[:held_out])))
    return shards


def trim_last_batch(shards: Sequence[Shard], *, batch_size: int, seed: int) -> list[Shard]:
    """Leave training examples out where an epoch's last batch would have fewer than half of a batch's examples.

    A step on very few examples can throw a model far off, and a model that is measured after its client's own last step
    is measured there. A client that has less than one batch keeps all its examples: they are its only batch.

    Args:
        shards: one per client; stay as they are.
        batch_size: examples a step, >= 1.
        seed: decides which examples are left out.

    Returns:
        The same shards in the same order. From n training examples with n >= batch_size and a remainder r of
        n / batch_size below batch_size / 2, r are left out.

    Raises:
        InputError: batch_size or seed out of range.
    """
    check_whole_number("batch_size", batch_size, 1)
    rng = new_generator(seed)
    trimmed = []
    for shard in shards:
        count = len(shard.train)
        rest = count % batch_size
        if count >= batch_size and 0 < 2 * rest < batch_size:
            shard = replace(shard, train=np.sort(rng.permutation(shard.train)[: count - rest]))
        trimmed.append(shard)
    return trimmed


def _proportional_first(order: np.ndarray, labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Reorder examples so that the first `count` are a systematic sample of all n.

    Examples lie in a row, class by class in random order, and every (n / count)-th of them is taken, from a random
    start. So each example has the same chance, and the number of each class is its share, rounded up or down.
    """
    _, classes = np.unique(labels, return_inverse=True)
    row = np.argsort(rng.permutation(classes.max() + 1)[classes], kind="stable")
    places = ((rng.random() + np.arange(count)) * len(order) / count).astype(np.int64)
    taken = np.zeros(len(order), dtype=bool)
    taken[np.minimum(places, len(order) - 1)] = True  # rounding could lead to the place behind the last
    return order[np.concatenate([row[taken], row[~taken]])]

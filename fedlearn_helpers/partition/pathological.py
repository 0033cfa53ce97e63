"""Pathological label skew: every client has a few classes and nothing else."""

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.partition.checks import check_clients
from fedlearn_helpers.partition.rule import PartitionRule
from fedlearn_helpers.seeds import check_seed


def classes_per_client(labels: np.ndarray, num_clients: int, *, num_classes_each: int, seed: int) -> list[np.ndarray]:
    """Give every client examples of `num_classes_each` classes only.

    Client i gets class i mod K first, and further classes at random. Classes without an owner come before the others,
    so that every class has one. The examples of a class are shared out equally among its
    owners. It is the rule of NIID-Bench (Li et al. 2022, https://arxiv.org/abs/2102.02079); "two classes a client" goes
    back to McMahan et al. 2017.

    Args:
        labels: (n,) integers, the class of each example; K different ones.
        num_clients: number of parts, >= 1.
        num_classes_each: classes of a client, from 1 to K.
        seed: decides who gets what.

    Raises:
        InputError: an argument out of range, fewer places than classes, or a class with fewer examples than owners.
    """
    labels = np.asarray(labels)
    check_clients(num_clients, len(labels))
    classes, class_sizes = np.unique(labels, return_counts=True)
    if not 1 <= num_classes_each <= len(classes):
        raise InputError(
            f"classes_per_client must be between 1 and the {len(classes)} classes of the data, got {num_classes_each}"
        )
    if num_clients * num_classes_each < len(classes):
        raise InputError(
            f"num_clients={num_clients} with classes_per_client={num_classes_each} have room for "
            f"{num_clients * num_classes_each} of {len(classes)} classes; use more of either"
        )
    rng = np.random.default_rng(check_seed(seed))
    owners = _choose_owners(rng, len(classes), num_clients, num_classes_each)
    parts: list[list[np.ndarray]] = [[] for _ in range(num_clients)]
    for row, k in enumerate(classes):
        if len(owners[row]) > class_sizes[row]:
            raise InputError(
                f"num_clients={num_clients} gives class {k} with its {class_sizes[row]} examples to "
                f"{len(owners[row])} clients; use fewer clients"
            )
        of_class = rng.permutation(np.flatnonzero(labels == k))
        for client, piece in zip(owners[row], np.array_split(of_class, len(owners[row])), strict=True):
            parts[client].append(piece)
    return [np.sort(np.concatenate(pieces)) for pieces in parts]


def _choose_owners(
    rng: np.random.Generator, num_classes: int, num_clients: int, num_classes_each: int
) -> list[list[int]]:
    """Return the clients that own each class."""
    owners: list[list[int]] = [[] for _ in range(num_classes)]
    for client in range(num_clients):
        owners[client % num_classes].append(client)
    for client in range(num_clients):
        others = np.delete(np.arange(num_classes), client % num_classes)
        shuffled = rng.permutation(others)
        without_owner_first = sorted(shuffled, key=lambda k: bool(owners[k]))
        for k in without_owner_first[: num_classes_each - 1]:
            owners[k].append(client)
    return owners


RULE = PartitionRule(
    "pathological",
    "classes_per_client classes a client",
    lambda labels, num_clients, number, min_size, seed: classes_per_client(
        labels, num_clients, num_classes_each=int(number), seed=seed
    ),
    argument="classes_per_client",
    default=2,
    whole=True,
)

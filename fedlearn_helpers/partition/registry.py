"""Partitions by name, for parameters of notebooks and for the command line."""

import math

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.partition.dirichlet import dirichlet
from fedlearn_helpers.partition.iid import iid
from fedlearn_helpers.partition.pathological import classes_per_client
from fedlearn_helpers.partition.quantity import quantity_skew

PARTITIONS = {
    "iid": "every client has the same mixture",
    "dirichlet": "classes in proportions drawn with alpha",
    "pathological": "classes_per_client classes a client",
    "quantity": "the same mixture, in sizes drawn with alpha",
}
_NUMBER = {"dirichlet": "alpha", "pathological": "classes_per_client", "quantity": "alpha"}


def make_partition(
    name: str,
    labels: np.ndarray,
    num_clients: int,
    *,
    alpha: float = 0.5,
    classes_per_client: int = 2,
    min_size: int = 10,
    seed: int,
) -> list[np.ndarray]:
    """Make a partition by name.

    Args:
        name: a key of `PARTITIONS`.
        labels: (n,) integers, the class of each example.
        num_clients: number of parts, >= 1.
        alpha: for "dirichlet" and "quantity", > 0.
        classes_per_client: for "pathological", >= 1.
        min_size: for "dirichlet" and "quantity": examples that every client gets at least.
        seed: decides who gets what.

    Raises:
        InputError: an unknown name, or what the partition's own function raises.
    """
    labels = np.asarray(labels)
    if name == "iid":
        return iid(len(labels), num_clients, seed=seed)
    if name == "dirichlet":
        return dirichlet(labels, num_clients, alpha=alpha, seed=seed, min_size=min_size)
    if name == "pathological":
        return _pathological(labels, num_clients, classes_per_client, seed)
    if name == "quantity":
        return quantity_skew(len(labels), num_clients, alpha=alpha, seed=seed, min_size=min_size)
    raise InputError(f"partition must be {', '.join(map(repr, PARTITIONS))}, got {name!r}")


def _pathological(labels: np.ndarray, num_clients: int, number: int, seed: int) -> list[np.ndarray]:
    return classes_per_client(labels, num_clients, num_classes_each=number, seed=seed)


def parse_partition(text: str) -> dict[str, str | float | int]:
    """Turn "iid", "dirichlet:0.1", "pathological:2" or "quantity:0.5" into arguments of `make_partition`.

    Raises:
        InputError: an unknown name, or no number where one belongs.
    """
    name, colon, number = text.partition(":")
    if name not in PARTITIONS:
        raise InputError(f"partition must be one of {', '.join(PARTITIONS)}, got {text!r}")
    if name not in _NUMBER:
        if colon:
            raise InputError(f"partition {name} takes no number, got {text!r}")
        return {"name": name}
    argument = _NUMBER[name]
    try:
        value = int(number) if argument == "classes_per_client" else float(number)
        if not math.isfinite(value) or value <= 0:
            raise ValueError
    except ValueError:
        raise InputError(f"partition must look like {name}:{argument}, with a number > 0, got {text!r}") from None
    return {"name": name, argument: value}

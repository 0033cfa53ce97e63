"""The IID partition: all clients have the same mixture of classes, up to chance."""

import numpy as np

from fedlearn_helpers.errors import check_whole_number
from fedlearn_helpers.partition.checks import check_clients, new_generator
from fedlearn_helpers.partition.rule import PartitionRule


def iid(num_examples: int, num_clients: int, *, seed: int) -> list[np.ndarray]:
    """Deal the examples out at random, as equally as possible: every client sees the same mixture.

    IID: independent and identically distributed.

    Args:
        num_examples: size of the data set.
        num_clients: number of parts, in [1, num_examples].
        seed: decides who gets what.

    Returns:
        One sorted int64 array of indices per client; their sizes differ by at most one.

    Raises:
        InputError: no whole number of examples >= 1, or num_clients below 1 or above it.
    """
    check_whole_number("num_examples", num_examples, 1)
    check_clients(num_clients, num_examples)
    order = new_generator(seed).permutation(num_examples)
    return [np.sort(part) for part in np.array_split(order, num_clients)]


RULE = PartitionRule(
    "iid",
    "every client has the same mixture",
    lambda labels, num_clients, number, min_size, seed: iid(len(labels), num_clients, seed=seed),
)

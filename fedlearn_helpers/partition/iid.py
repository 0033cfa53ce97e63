"""The IID partition: all clients have the same mixture of classes, up to chance."""

import numpy as np

from fedlearn_helpers.partition.checks import check_clients
from fedlearn_helpers.partition.rule import PartitionRule
from fedlearn_helpers.seeds import check_seed


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
        InputError: num_clients below 1 or above num_examples.
    """
    check_clients(num_clients, num_examples)
    order = np.random.default_rng(check_seed(seed)).permutation(num_examples)
    return [np.sort(part) for part in np.array_split(order, num_clients)]


RULE = PartitionRule(
    "iid",
    "every client has the same mixture",
    lambda labels, num_clients, number, min_size, seed: iid(len(labels), num_clients, seed=seed),
)

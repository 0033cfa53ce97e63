"""Quantity skew: all clients have the same mixture of classes, but some have many examples and others few."""

import numpy as np

from fedlearn_helpers.errors import check_whole_number
from fedlearn_helpers.partition.checks import check_alpha, check_clients, new_generator
from fedlearn_helpers.partition.rule import PartitionRule
from fedlearn_helpers.partition.sizes import cut, draw_until_large_enough, whole_sizes


def quantity_skew(
    num_examples: int, num_clients: int, *, alpha: float, seed: int, min_size: int = 10
) -> list[np.ndarray]:
    """Deal the examples out at random, in sizes drawn from a symmetric Dirichlet distribution.

    Source: NIID-Bench (Li et al. 2022, https://arxiv.org/abs/2102.02079), section 4.3.

    Args:
        num_examples: size of the data set.
        num_clients: number of parts, >= 1.
        alpha: concentration, > 0; a small one gives most examples to few clients.
        seed: decides who gets what.
        min_size: every client gets at least so many examples. Sizes are drawn until that holds.

    Raises:
        InputError: an argument out of range, or no sizes with min_size in 200 draws.
    """
    check_alpha(alpha)
    check_whole_number("num_examples", num_examples, 1)
    check_clients(num_clients, num_examples, min_size)
    rng = new_generator(seed)
    sizes = draw_until_large_enough(
        lambda: whole_sizes(rng.dirichlet(np.full(num_clients, alpha)), num_examples),
        min_size=min_size,
        num_clients=num_clients,
        alpha=alpha,
    )
    return [np.sort(part) for part in cut(rng.permutation(num_examples), sizes)]


RULE = PartitionRule(
    "quantity",
    "the same mixture, in sizes drawn with alpha",
    lambda labels, num_clients, alpha, min_size, seed: quantity_skew(
        len(labels), num_clients, alpha=alpha, seed=seed, min_size=min_size
    ),
    argument="alpha",
    default=0.5,
)

"""Quantity skew: the same mixture for everybody, but much of it for some and little for others."""

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.partition.checks import check_alpha, check_clients, cut, whole_sizes

_DRAWS = 200


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
    check_clients(num_clients, num_examples, min_size)
    rng = np.random.default_rng(seed)
    for _ in range(_DRAWS):
        sizes = whole_sizes(rng.dirichlet(np.full(num_clients, alpha)), num_examples)
        if sizes.min() >= min_size:
            return [np.sort(part) for part in cut(rng.permutation(num_examples), sizes)]
    raise InputError(
        f"min_size={min_size} could not be met in {_DRAWS} draws of {num_clients} clients with alpha={alpha:g}; "
        "use a larger alpha, fewer clients or a smaller min_size"
    )

"""Label skew by a Dirichlet distribution: clients share the classes, but in different proportions."""

import numpy as np

from fedlearn_helpers.partition.checks import check_alpha, check_clients, check_labels, new_generator
from fedlearn_helpers.partition.rule import PartitionRule
from fedlearn_helpers.partition.sizes import cut, draw_until_large_enough, whole_sizes


def dirichlet(labels: np.ndarray, num_clients: int, *, alpha: float, seed: int, min_size: int = 10) -> list[np.ndarray]:
    """Share out each class over the clients in proportions drawn from a symmetric Dirichlet distribution.

    For every class k in turn, p_k ~ Dir_N(alpha), and client j gets the share p_kj of its examples. A client that holds
    an equal share of all examples already gets nothing more: its p_kj is set to 0 before p_k is normalized. A large
    alpha gives nearly the IID partition, a small one gives each class to few clients. Clients differ in size, too.

    There are several "Dirichlet partitions". This is the one of NIID-Bench (Li et al. 2022,
    https://arxiv.org/abs/2102.02079), of PFLlib, and of Flower's `DirichletPartitioner` with
    `self_balancing=True`. Others draw the mixture of each client and keep all sizes equal; where the classes' shares
    scale alpha, the same alpha is more skewed than here.

    Args:
        labels: (n,) integers, the class of each example.
        num_clients: number of parts, >= 1.
        alpha: concentration, > 0: 100 is close to IID, 0.1 is strongly skewed.
        seed: decides who gets what.
        min_size: every client gets at least so many examples. Partitions are drawn until that holds.

    Raises:
        InputError: an argument out of range, or no partition with min_size in 200 draws.
    """
    labels = check_labels(labels)
    check_alpha(alpha)
    check_clients(num_clients, len(labels), min_size)
    rng = new_generator(seed)
    classes, class_sizes = np.unique(labels, return_counts=True)
    counts = draw_until_large_enough(
        lambda: _draw_counts(rng, class_sizes, num_clients, alpha),
        min_size=min_size,
        num_clients=num_clients,
        alpha=alpha,
    )
    pieces = [cut(rng.permutation(np.flatnonzero(labels == k)), counts[row]) for row, k in enumerate(classes)]
    return [np.sort(np.concatenate(of_client)) for of_client in zip(*pieces, strict=True)]


def _draw_counts(rng: np.random.Generator, class_sizes: np.ndarray, num_clients: int, alpha: float) -> np.ndarray:
    """Draw how many examples of each class (row) each client (column) gets: (classes, clients) int64."""
    counts = np.zeros((len(class_sizes), num_clients), dtype=np.int64)
    held = np.zeros(num_clients, dtype=np.int64)
    equal_share = class_sizes.sum() / num_clients
    for row, size in enumerate(class_sizes):
        shares = rng.dirichlet(np.full(num_clients, alpha)) * (held < equal_share)
        if shares.sum() == 0:  # all clients with a share are full, or the shares are too small for a float
            shares = (held < equal_share) / (held < equal_share).sum()
        counts[row] = whole_sizes(shares / shares.sum(), size)
        held += counts[row]
    return counts


RULE = PartitionRule(
    "dirichlet",
    "classes in proportions drawn with alpha",
    lambda labels, num_clients, alpha, min_size, seed: dirichlet(
        labels, num_clients, alpha=alpha, seed=seed, min_size=min_size
    ),
    argument="alpha",
    default=0.5,
)

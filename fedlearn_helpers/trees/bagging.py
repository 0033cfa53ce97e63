"""What is not equal to pooled trees: each site grows its own, and the server takes all of them.

    round t:  every site k grows trees on its own rows, behind F_t          F_{t+1} = F_t + sum over k of f_k

Source: Flower's strategy FedXgbBagging. A site chooses splits by its own sums, and moves F as if it were alone: K sites
go about K times as far in a round as one tree does. Whole trees, with thresholds and leaves of one site's rows, cannot
be added under a mask: the server sees each.
"""

from collections.abc import Sequence

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.asking import in_process
from fedlearn_helpers.statistics.columns import Site
from fedlearn_helpers.trees.bins import bin_edges
from fedlearn_helpers.trees.boosting import ANSWERS, TreeConfig, add_tree
from fedlearn_helpers.trees.ensemble import Trees, no_trees, together


def fit_bagging(sites: Sequence[Site], ranges: np.ndarray, config: TreeConfig) -> Trees:
    """Return the bagged trees: one of each site with rows in each of `num_trees` rounds.

    Args:
        sites: each one's rows; at least one site has some.
        ranges: (d, 2), as in `bin_edges`. Each site has edges of its own.
        config: with eta / K as learning rate, a round goes as far as one tree.

    Raises:
        InputError: an argument out of range, or no site has a row.
    """
    if not (asks := [in_process([site], ANSWERS) for site in sites if len(site.labels)]):
        raise InputError("at least one site must have rows, got none")
    edges = [bin_edges(ask, ranges, config.num_bins) for ask in asks]
    trees = no_trees(config.depth)
    for _ in range(config.num_trees):
        grown = [add_tree(ask, trees, own, config) for ask, own in zip(asks, edges, strict=True)]
        for more in grown:
            trees = together(trees, Trees(*(array[-1:] for array in vars(more).values())))
    return trees

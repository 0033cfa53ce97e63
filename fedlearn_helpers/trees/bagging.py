"""What is not equal to pooled trees: each site grows its own, and the server takes all of them.

    round t:  every site k grows trees on its own rows, behind F_t          F_{t+1} = F_t + sum over k of f_k

Source: Flower's strategy FedXgbBagging. A site chooses splits by its own sums, and moves F as if it were alone: K sites
go about K times as far in a round as one tree does. Whole trees, with thresholds and leaves of one site's rows, cannot
be added under a mask: the server sees each.
"""

from collections.abc import Sequence

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.labelled import LabelledRows
from fedlearn_helpers.statistics.questions import Ask
from fedlearn_helpers.trees.bins import bin_edges
from fedlearn_helpers.trees.boosting import ANSWERS, TreeConfig, Trees, add_tree, fit_trees, no_trees, together


def ask_one(rows: LabelledRows) -> Ask:
    """Return the questions' answers by these rows alone: one site's, or pooled ones."""
    return lambda name, asked: ANSWERS[name](rows, asked)


def fit_alone(rows: LabelledRows, ranges: np.ndarray, config: TreeConfig) -> Trees:
    """Grow trees on these rows alone; arguments and errors as in `fit_trees`."""
    return fit_trees(ask_one(rows), ranges, config)


def fit_bagging(sites: Sequence[LabelledRows], ranges: np.ndarray, config: TreeConfig) -> Trees:
    """Return the bagged trees: one of each site with rows in each of `num_trees` rounds.

    Args:
        sites: each one's rows; at least one site has some.
        ranges: (d, 2), as in `bin_edges`. Each site has edges of its own.
        config: with eta / K as learning rate, a round goes as far as one tree.

    Raises:
        InputError: an argument out of range, or no site has a row.
    """
    if not (asks := [ask_one(rows) for rows in sites if len(rows.labels)]):
        raise InputError("at least one site must have rows, got none")
    edges = [bin_edges(ask, ranges, config.num_bins) for ask in asks]
    trees = no_trees(config.depth)
    for _ in range(config.num_trees):
        grown = [add_tree(ask, trees, own, config) for ask, own in zip(asks, edges, strict=True)]
        for more in grown:
            trees = together(trees, Trees(*(array[-1:] for array in vars(more).values())))
    return trees

"""Gradient boosted trees for two classes, from sums of whole numbers: federated, and equal to the pooled ones.

    F(x) = sum over trees of the weight of the leaf in which x ends        p = 1 / (1 + exp(-F))
    g_i = p_i - y_i        h_i = p_i (1 - p_i)                           derivatives of the log loss by F
    G = sum of g_i, H = sum of h_i, over the rows of a node              what the server asks for, per feature and bin

    gain = 1/2 [G_L^2 / (H_L + lambda) + G_R^2 / (H_R + lambda) - G^2 / (H + lambda)]
    w = -eta G / (H + lambda)

Source: Chen and Guestrin 2016 (XGBoost), https://arxiv.org/abs/1603.02754, equations 5 and 7, with gamma = 0; missing
values go to the side with the larger gain (algorithm 3). F starts at 0.

Each g_i and h_i is rounded to a whole number of 2^-20 before it is added. Sums of whole numbers are the same in any
order, so every split and every leaf is that of the pooled data, however the rows are spread over sites. Of splits with
equal gains, the one with the lower feature wins, then with missing values on the right, then with the lower threshold.

Sites keep nothing between questions: each question brings the trees so far.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.statistics.columns import Site
from fedlearn_helpers.statistics.labelled import labelled_rows
from fedlearn_helpers.statistics.questions import Answer, Ask, Asked
from fedlearn_helpers.statistics.steps import in_steps
from fedlearn_helpers.trees.bins import (
    COUNTS_IN_BINS,
    answer_counts_in_bins,
    bin_edges,
    bin_of,
    check_features,
    check_num_bins,
)
from fedlearn_helpers.trees.ensemble import Trees, no_trees, one_leaf, together

GRADIENTS_IN_BINS = "gradients in bins"

STEP = 2.0**-20
"""Of gradients and Hessians. One row counts for at most 2^20 steps."""

MOST_DEPTH = 8


@dataclass(frozen=True)
class TreeConfig:
    """How trees are grown.

    Attributes:
        num_trees: >= 1.
        depth: of each tree, from 1 to 8: at most so many splits above a leaf.
        learning_rate: eta, > 0 and <= 1.
        l2: lambda, > 0.
        min_child_weight: the least sum of Hessians H on each side of a split, >= 0. It guards the tree from chance,
            not the rows from being seen.
        num_bins: for the values of a feature, from 2 to 31.

    Raises:
        InputError: an attribute out of range.
    """

    num_trees: int = 40
    depth: int = 2
    learning_rate: float = 0.2
    l2: float = 1.0
    min_child_weight: float = 1.0
    num_bins: int = 16

    def __post_init__(self) -> None:
        check_whole_number("num_trees", self.num_trees, 1)
        if check_whole_number("depth", self.depth, 1) > MOST_DEPTH:
            raise InputError(f"depth must be <= {MOST_DEPTH}, got {self.depth}")
        check_number("learning_rate", self.learning_rate, "> 0 and <= 1", lambda rate: 0 < rate <= 1)
        check_number("l2", self.l2, "> 0", lambda l2: l2 > 0)
        check_number("min_child_weight", self.min_child_weight, ">= 0", lambda weight: weight >= 0)
        check_num_bins(self.num_bins)


def answer_gradients_in_bins(site: Site, asked: Asked) -> np.ndarray:
    """A site's half: G and H per node, feature and bin, for the nodes of one level of the last tree.

    Args:
        site: its n rows of d features, and their labels.
        asked: `edges` (d, B - 1); the arrays of `Trees`, the last of which is still growing; `level`, an array of one
            whole number: the depth of the nodes, 0 for the root.

    Returns:
        int64 (2 · 2^level · d · (B + 1),): G, then H, in steps of 2^-20.
    """
    values, labels = labelled_rows(site)
    edges, level = asked["edges"], int(asked["level"][0])
    check_features(values, len(edges))
    trees = Trees(asked["features"], asked["thresholds"], asked["missing_left"], asked["weights"])
    finished = Trees(*(array[:-1] for array in vars(trees).values()))
    p = finished.predict_proba(values)
    steps = in_steps("gradients", np.stack([p - labels, p * (1 - p)]), STEP)  # (2, n)
    node = trees.nodes(len(trees) - 1, values) - (2**level - 1)
    here = node >= 0  # others have ended in a leaf above
    sums = np.zeros((2, 2**level, len(edges), edges.shape[1] + 2), np.int64)
    where = (node[here, None], np.arange(len(edges)), bin_of(values[here], edges))
    for derivative in (0, 1):
        np.add.at(sums[derivative], where, steps[derivative, here, None])
    return sums.ravel()


class Split(NamedTuple):
    """The best split of a node: by which feature, behind which bin, and G and H of both sides."""

    feature: int
    missing_left: bool
    bin: int
    left: tuple[float, float]
    right: tuple[float, float]


def best_split(G: np.ndarray, H: np.ndarray, config: TreeConfig) -> Split | None:
    """Return the split with the largest gain; None if no gain is above 0.

    Args:
        G, H: (d, B + 1) sums of a node per feature and bin, the last of which is that of missing values; multiples
            of 2^-20, so that sums and differences are exact.
        config: lambda and the least weight of a side.
    """
    G_left, H_left = _left_of(G), _left_of(H)  # (d, 2, B)
    G_all, H_all = G[0].sum(), H[0].sum()  # the same for every feature: each has a bin for each row
    G_right, H_right = G_all - G_left, H_all - H_left
    score = _score(G_left, H_left, config) + _score(G_right, H_right, config) - _score(G_all, H_all, config)
    allowed = np.minimum(H_left, H_right) >= config.min_child_weight
    gain = np.where(allowed, score / 2, 0)
    best = np.unravel_index(gain.argmax(), gain.shape)  # of equal ones the first
    if gain[best] <= 0:
        return None
    feature, side, last_bin = map(int, best)
    return Split(feature, side == 1, last_bin, (G_left[best], H_left[best]), (G_right[best], H_right[best]))


def _left_of(sums: np.ndarray) -> np.ndarray:
    """Return what is on the left of each split (d, 2, B): without missing values, and with them."""
    known, missing = sums[:, :-1].cumsum(axis=1), sums[:, -1:]
    return np.stack([known, known + missing], axis=1)


def _score(G: np.ndarray, H: np.ndarray, config: TreeConfig) -> np.ndarray:
    return G**2 / (H + config.l2)


def _leaf(sums: tuple[float, float], config: TreeConfig) -> float:
    """Return eta times the weight that minimizes G w + (H + lambda) w^2 / 2."""
    G, H = sums
    return -config.learning_rate * G / (H + config.l2)


ANSWERS: Mapping[str, Answer] = {
    COUNTS_IN_BINS: answer_counts_in_bins,
    GRADIENTS_IN_BINS: answer_gradients_in_bins,
}
"""What a site must be able to answer, by the question's name."""


def fit_trees(ask: Ask, ranges: np.ndarray, config: TreeConfig) -> Trees:
    """Grow trees on the rows of all sites: the server's half, 1 + num_trees · depth questions.

    Args:
        ask: knows the questions in `ANSWERS`.
        ranges: (d, 2), as in `bin_edges`.
        config: how trees are grown.

    Raises:
        InputError: an argument out of range, or no site has a row.
    """
    edges = bin_edges(ask, ranges, config.num_bins)
    trees = no_trees(config.depth)
    for _ in range(config.num_trees):
        trees = add_tree(ask, trees, edges, config)
    return trees


def add_tree(ask: Ask, trees: Trees, edges: np.ndarray, config: TreeConfig) -> Trees:
    """Return the trees with one more, grown level by level, with a question for each."""
    new = one_leaf(config.depth)
    features, thresholds, missing_left, weights = (array[0] for array in vars(new).values())  # views: they fill it
    last_of_bin = np.pad(edges, ((0, 0), (0, 1)), constant_values=np.inf)
    growing = [0]
    for level in range(config.depth):
        asked = {"edges": edges, "level": np.array([level]), **vars(together(trees, new))}
        total = ask(GRADIENTS_IN_BINS, asked) * STEP  # exact: a power of 2
        sums = total.reshape(2, 2**level, len(edges), edges.shape[1] + 2)
        children = []
        for node in growing:
            G, H = sums[:, node - (2**level - 1)]
            if level == 0:
                weights[node] = _leaf((G[0].sum(), H[0].sum()), config)
            if (split := best_split(G, H, config)) is None:
                continue
            left, right = 2 * node + 1, 2 * node + 2
            features[node], missing_left[node] = split.feature, split.missing_left
            thresholds[node] = last_of_bin[split.feature, split.bin]
            weights[node], weights[left], weights[right] = 0, _leaf(split.left, config), _leaf(split.right, config)
            children += [left, right]
        if not (growing := children):
            break
    return together(trees, new)

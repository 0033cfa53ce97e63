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

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.statistics.labelled import LabelledRows
from fedlearn_helpers.statistics.questions import Answer, Ask, Asked
from fedlearn_helpers.statistics.steps import in_steps
from fedlearn_helpers.trees.bins import bin_edges, bin_of, check_num_bins, count_bins

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


@dataclass(frozen=True, eq=False)
class Trees:
    """T trees of N = 2^(depth + 1) - 1 places: node i has the children 2 i + 1 and 2 i + 2.

    Trees are equal (==) if every split, every threshold and every leaf is, to the last bit.

    Attributes:
        features: (T, N) int64, by which a node splits; -1 at a leaf and at places that are not used.
        thresholds: (T, N) float64; x <= threshold goes left.
        missing_left: (T, N) bool, whether missing values go left.
        weights: (T, N) float64, of leaves, with eta in them; 0 elsewhere.
    """

    features: np.ndarray
    thresholds: np.ndarray
    missing_left: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.features)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trees) and all(map(np.array_equal, vars(self).values(), vars(other).values()))

    @property
    def depth(self) -> int:
        """The most splits above a leaf."""
        return int(self.features.shape[1] + 1).bit_length() - 2

    def nodes(self, tree: int, values: np.ndarray) -> np.ndarray:
        """Return the place (n,) at which each row of values (n, d) ends in one tree."""
        node = np.zeros(len(values), np.int64)
        for _ in range(self.depth):
            feature = self.features[tree, node]
            value = values[np.arange(len(values)), feature]
            left = np.where(np.isnan(value), self.missing_left[tree, node], value <= self.thresholds[tree, node])
            node = np.where(feature < 0, node, 2 * node + 2 - left)
        return node

    def predict_proba(self, values: np.ndarray) -> np.ndarray:
        """Return p (n,), the probability of label 1, of rows (n, d) with NaN where a value is missing.

        Raises:
            InputError: values of another shape, or with fewer features than the trees split by.
        """
        values = np.asarray(values, np.float64)
        needed = int(self.features.max(initial=-1)) + 1
        if values.ndim != 2 or values.shape[1] < max(needed, 1):
            raise InputError(f"values must have rows of at least {max(needed, 1)} features, got shape {values.shape}")
        total = np.zeros(len(values))
        for tree in range(len(self)):  # in this order at every site: the sum of floats depends on it
            total += self.weights[tree, self.nodes(tree, values)]
        with np.errstate(over="ignore"):  # exp(-F) is infinite, and p is 0
            return 1 / (1 + np.exp(-total))


def no_trees(depth: int) -> Trees:
    """Return an ensemble without trees, for trees of this depth."""
    shape = (0, 2 ** (depth + 1) - 1)
    return Trees(np.empty(shape, np.int64), np.empty(shape), np.empty(shape, bool), np.empty(shape))


def together(first: Trees, second: Trees) -> Trees:
    """Return the trees of both, of the same depth."""
    return Trees(*map(np.concatenate, zip(vars(first).values(), vars(second).values(), strict=True)))


def sum_gradients(rows: LabelledRows, asked: Asked) -> np.ndarray:
    """Answer G and H per node, feature and bin, for the nodes of one level of the last tree: the site's half.

    Args:
        rows: n rows of d features.
        asked: `edges` (d, B - 1); the arrays of `Trees`, the last of which is still growing; `level`, an array of one
            whole number: the depth of the nodes, 0 for the root.

    Returns:
        int64 (2 · 2^level · d · (B + 1),): G, then H, in steps of 2^-20.
    """
    edges, level = asked["edges"], int(asked["level"][0])
    trees = Trees(asked["features"], asked["thresholds"], asked["missing_left"], asked["weights"])
    finished = Trees(*(array[:-1] for array in vars(trees).values()))
    p = finished.predict_proba(rows.values)
    steps = in_steps("gradients", np.stack([p - rows.labels, p * (1 - p)]), STEP)  # (2, n)
    node = trees.nodes(len(trees) - 1, rows.values) - (2**level - 1)
    here = node >= 0  # others have ended in a leaf above
    sums = np.zeros((2, 2**level, len(edges), edges.shape[1] + 2), np.int64)
    for derivative in (0, 1):
        where = (node[here, None], np.arange(len(edges)), bin_of(rows.values[here], edges))
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
        G, H: (d, B + 1) sums of a node per feature and bin, the last of which is that of missing values.
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


ANSWERS: dict[str, Answer] = {"count_bins": count_bins, "sum_gradients": sum_gradients}
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
    places = 2 ** (config.depth + 1) - 1
    new = Trees(np.full((1, places), -1), np.zeros((1, places)), np.zeros((1, places), bool), np.zeros((1, places)))
    features, thresholds, missing_left, weights = (array[0] for array in vars(new).values())  # views: they fill it
    last_of_bin = np.pad(edges, ((0, 0), (0, 1)), constant_values=np.inf)
    growing = [0]
    for level in range(config.depth):
        asked = {"edges": edges, "level": np.array([level]), **vars(together(trees, new))}
        total = ask("sum_gradients", asked) * STEP  # exact: a power of 2
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

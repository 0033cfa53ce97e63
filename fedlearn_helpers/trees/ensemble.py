"""Binary trees as arrays, which a message can carry, and what they predict.

F(x) = sum over trees of the weight of the leaf in which x ends        p = 1 / (1 + exp(-F))
"""

from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError


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
        """Return p (n,), the probability of label 1, of rows (n, d) with nan where a value is missing.

        Raises:
            InputError: values of another shape, with fewer features than the trees split by, or infinite.
        """
        values = np.asarray(values, np.float64)
        needed = int(self.features.max(initial=-1)) + 1
        if values.ndim != 2 or values.shape[1] < max(needed, 1):
            raise InputError(f"values must have rows of at least {max(needed, 1)} features, got shape {values.shape}")
        if np.isinf(values).any():
            raise InputError("values must be finite, or nan where they are missing, got an infinite one")
        total = np.zeros(len(values))
        for tree in range(len(self)):  # in this order at every site: the sum of floats depends on it
            total += self.weights[tree, self.nodes(tree, values)]
        with np.errstate(over="ignore"):  # exp(-F) is infinite, and p is 0
            return 1 / (1 + np.exp(-total))


def no_trees(depth: int) -> Trees:
    """Return an ensemble without trees, for trees of this depth."""
    return Trees(*(array[:0] for array in vars(one_leaf(depth)).values()))


def one_leaf(depth: int) -> Trees:
    """Return one tree that is a leaf of weight 0, with places for splits to this depth."""
    shape = (1, 2 ** (depth + 1) - 1)
    return Trees(np.full(shape, -1, np.int64), np.zeros(shape), np.zeros(shape, bool), np.zeros(shape))


def together(first: Trees, second: Trees) -> Trees:
    """Return the trees of both, of the same depth."""
    return Trees(*map(np.concatenate, zip(vars(first).values(), vars(second).values(), strict=True)))

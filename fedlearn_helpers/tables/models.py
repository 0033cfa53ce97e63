"""Small models of tables: rows (n, features) float32 to scores (n, 2), one per class, before softmax."""

from torch import nn

from fedlearn_helpers.errors import check_whole_number
from fedlearn_helpers.seeds import seeded

_CLASSES = 2
_HIDDEN_UNITS = 16


def new_logistic_regression(num_features: int, seed: int) -> nn.Linear:
    """Return a logistic regression; its weights depend on the seed alone.

    It has a row of weights w_c and a bias b_c for each class, and p(1 | x) = sigmoid((w_1 - w_0) x + b_1 - b_0): the
    differences are what a logistic regression with a single output has.
    """
    check_whole_number("num_features", num_features, 1)
    with seeded(seed):
        return nn.Linear(num_features, _CLASSES)


def new_small_network(num_features: int, seed: int) -> nn.Sequential:
    """Return a network with one hidden layer of 16 units; its weights depend on the seed alone."""
    check_whole_number("num_features", num_features, 1)
    with seeded(seed):
        return nn.Sequential(nn.Linear(num_features, _HIDDEN_UNITS), nn.ReLU(), nn.Linear(_HIDDEN_UNITS, _CLASSES))

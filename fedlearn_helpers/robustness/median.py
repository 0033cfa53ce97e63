"""The coordinate-wise median: half of the clients have to lie before a number can be anywhere.

    w_{t+1}[j] = median(w_1[j], ..., w_n[j])      for each coordinate j; for an even n the mean of the two in the middle

With f < n / 2 attackers every coordinate lies between those of honest clients. It ignores the numbers of examples: who
lies about them gains nothing, and a large client counts as much as a small one.

Source: Yin et al. 2018, https://arxiv.org/abs/1803.01498, algorithm 1, option I.
"""

from collections.abc import Sequence

from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import State
from fedlearn_helpers.robustness.vectors import as_state, as_vectors, middle


def coordinate_median(states: Sequence[State], weights: Sequence[float] = ()) -> dict[str, Tensor]:
    """Return the median of models, coordinate by coordinate; an `Aggregator`.

    Args:
        states: w_k, one state per client, all with the same names and shapes.
        weights: are ignored.

    Raises:
        InputError: no states, different names or shapes, or numbers that are not finite.
    """
    return as_state(middle(as_vectors(states)), states)

"""The trimmed mean: in every coordinate the f largest and the f smallest numbers do not count.

    w_{t+1}[j] = mean of the n - 2f numbers in the middle of w_1[j], ..., w_n[j]      for each coordinate j, n > 2f

The paper cuts a share beta = f / n from each end. Here f itself is given: floor(beta n) loses one to rounding, such as
floor(0.29 * 100) = 28. f = 0 is the uniform mean. It ignores the numbers of examples.

Source: Yin et al. 2018, https://arxiv.org/abs/1803.01498, algorithm 1, option II.
"""

from collections.abc import Sequence

from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import State
from fedlearn_helpers.robustness.assumed import AssumesAttackers, check_enough
from fedlearn_helpers.robustness.vectors import as_state, as_vectors, in_order


class TrimmedMean(AssumesAttackers):
    """An aggregator for `federate(…, aggregator=TrimmedMean(f))`: f numbers are cut at each end."""

    def __call__(self, states: Sequence[State], weights: Sequence[float] = ()) -> dict[str, Tensor]:
        """Return the trimmed mean; see `Aggregator`. Weights are ignored.

        Raises:
            InputError: no more than 2f states, different names or shapes, or numbers that are not finite.
        """
        f, vectors = self.num_attackers, as_vectors(states)
        n = len(vectors)
        check_enough("TrimmedMean", n, f, 2 * f + 1, "n > 2f")
        return as_state(in_order(vectors)[f : n - f].mean(dim=0), states)

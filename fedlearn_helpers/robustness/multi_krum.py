"""Multi-Krum: the mean of the n - f models with the lowest scores of Krum.

    w_{t+1} = mean of w_k over the n - f lowest scores        n > 2f + 2

It stands between Krum, which takes one model, and the mean, which takes all: fewer models are thrown away, and f far
ones cannot be among those taken. It ignores the numbers of examples.

Source: Blanchard et al. 2017, https://arxiv.org/abs/1703.02757, section 4 ("m-Krum", here with m = n - f).
"""

from collections.abc import Sequence

from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import State
from fedlearn_helpers.robustness.assumed import AssumesAttackers
from fedlearn_helpers.robustness.krum import check_krum, lowest_scores
from fedlearn_helpers.robustness.vectors import as_state, as_vectors


class MultiKrum(AssumesAttackers):
    """An aggregator for `federate(…, aggregator=MultiKrum(f))`."""

    def choose(self, states: Sequence[State]) -> list[int]:
        """Return the positions of the n - f models with the lowest scores; arguments and errors as in a call."""
        n, f, vectors = len(states), self.num_attackers, as_vectors(states)
        check_krum("MultiKrum", n, f)
        return lowest_scores(vectors, f, n - f)

    def __call__(self, states: Sequence[State], weights: Sequence[float] = ()) -> dict[str, Tensor]:
        """Return the mean of the chosen models; see `Aggregator`. Weights are ignored.

        Raises:
            InputError: fewer than 2f + 3 states, different names or shapes, or numbers that are not finite.
        """
        return as_state(as_vectors(states)[self.choose(states)].mean(dim=0), states)

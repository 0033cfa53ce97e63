"""Bulyan: Krum chooses models, and in every coordinate only what is near their median counts.

    S = the theta = n - 2f models with the lowest scores of Krum        n >= 4f + 3
    w_{t+1}[j] = mean of the theta - 2f numbers nearest to the median of S, for each coordinate j

Krum alone lets a model pass that is near the others in all coordinates but one, and far away in that. It ignores the
numbers of examples.

The paper lets Krum move one model after the other into S. Here, as in Flower, all are taken in one go: with few models
left, Krum would have one neighbour to look at, and two models that are each other's nearest have equal scores. With
n < 4f + 3 Flower's strategy logs a warning, and the model stays what it was.

Source: El Mhamdi et al. 2018, https://arxiv.org/abs/1802.07927, section 4.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import State
from fedlearn_helpers.robustness.assumed import AssumesAttackers, check_enough
from fedlearn_helpers.robustness.krum import lowest_scores
from fedlearn_helpers.robustness.vectors import as_state, as_vectors, in_order, middle


class Bulyan(AssumesAttackers):
    """An aggregator for `federate(…, aggregator=Bulyan(f))`."""

    def __call__(self, states: Sequence[State], weights: Sequence[float] = ()) -> dict[str, Tensor]:
        """Return what Bulyan makes of the models; see `Aggregator`. Weights are ignored.

        Raises:
            InputError: fewer than 4f + 3 states, different names or shapes, or numbers that are not finite.
        """
        f, vectors = self.num_attackers, as_vectors(states)
        check_enough("Bulyan", len(vectors), f, 4 * f + 3, "n >= 4f + 3")
        theta = len(vectors) - 2 * f
        selected = vectors[lowest_scores(vectors, f, theta)]
        return as_state(_mean_near_median(selected, theta - 2 * f), states)


def _mean_near_median(vectors: Tensor, count: int) -> Tensor:
    """Return the mean of so many numbers nearest to the median, in each coordinate.

    In ascending order they stand side by side: it is the window whose farther end is nearest to the median.
    """
    ordered, center = in_order(vectors), middle(vectors)
    windows = len(vectors) - count + 1
    reach = (center - ordered[:windows]).maximum(ordered[count - 1 :] - center)  # (windows, d)
    first = reach.argmin(dim=0)  # of equal ones the lower
    window = first + torch.arange(count, device=first.device)[:, None]
    return ordered.gather(0, window).mean(dim=0)

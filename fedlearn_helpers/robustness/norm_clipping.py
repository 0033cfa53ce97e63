"""Norm clipping: no update counts for more than the median of their norms.

    Delta_k = w_k - w_t,   C = median_k ||Delta_k||
    w_{t+1} = w_t + mean_k Delta_k min(1, C / ||Delta_k||)

It stops attacks that shout, such as an update times ten. What has a normal norm passes, such as an update that is
turned round. All clients count the same: one that lies about its examples would buy weight that no bound takes back.

An aggregator does not know w_t, so this is a server of its own: `federate(CLIPPED_FEDAVG, …)`. Clipping around the
coordinate-wise median in place of w_t would need no w_t, and is another defence: it measures how odd a model is, not
how loud. Clients cannot clip either: an attacker would not.

Source: Sun et al. 2019, https://arxiv.org/abs/1911.07963, section 4, with a fixed C; the median of the norms as C:
Nguyen et al. 2022 (FLAME), https://arxiv.org/abs/2101.02281, section 4.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor

from fedlearn_helpers.algorithms import fedavg
from fedlearn_helpers.algorithms.aggregation import Answer, Averaging, State, state_of, uniform_mean
from fedlearn_helpers.robustness.vectors import as_state, as_vectors


def clip_around(center: State, states: Sequence[State]) -> list[dict[str, Tensor]]:
    """Return models whose distance to the center is at most the median of their distances; directions stay.

    Args:
        center: w_t, with the names and shapes of the states.
        states: w_k, at least one. Their whole numbers stay as they are.

    Raises:
        InputError: no states, different names or shapes, or numbers that are not finite.
    """
    received, *trained = as_vectors([center, *states])
    updates = [vector - received for vector in trained]
    norms = [float(torch.linalg.vector_norm(update)) for update in updates]
    bound = median(norms)
    factors = [1.0 if norm <= bound else bound / norm for norm in norms]
    clipped = [received + factor * update for factor, update in zip(factors, updates, strict=True)]
    return [as_state(vector, [state]) for vector, state in zip(clipped, states, strict=True)]


class ClippedAveraging(Averaging):
    """The server of FedAvg with clipped updates; takes the options of Flower's `FedAvg`.

    The clipped models are combined by the uniform mean, or by the aggregator that `federate` is given.
    """

    aggregator = staticmethod(uniform_mean)

    def combine(self, answers: Sequence[Answer]) -> dict[str, Tensor]:
        """Clip the updates, and combine what they have become."""
        clipped = clip_around(state_of(self.sent), [answer.state for answer in answers])
        return super().combine([replace(answer, state=state) for answer, state in zip(answers, clipped, strict=True)])


CLIPPED_FEDAVG = replace(
    fedavg.ALGORITHM,
    name="fedavg-clipped",
    title="FedAvg with clipped updates",
    new_server=lambda local_config, settings, **options: ClippedAveraging(**options),
)

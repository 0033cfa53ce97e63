"""The geometric median: the point whose distances to all models, added up, are the least.

    w_{t+1} = argmin_z sum_k ||z - w_k||

    z <- the coordinate-wise median
    repeat  beta_k = 1 / max(nu, ||z - w_k||),  z <- sum_k beta_k w_k / sum_k beta_k

That is Weiszfeld's algorithm, smoothed: nu keeps it from dividing by zero where z meets a model. A far model pulls as
hard as a near one, and no harder: with f < n / 2 attackers the result stays near the honest models. Unlike the
coordinate-wise median it does not depend on how the axes lie. The paper weighs clients by their examples; here all
count the same, since an attacker may lie about them.

Source: Pillutla et al. 2022, https://arxiv.org/abs/1912.13445, algorithm 2 (RFA, with more steps).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import State
from fedlearn_helpers.robustness.vectors import as_state, as_vectors, middle

_SMOOTHING = 1e-6  # nu, as a share of the models' median distance to where the search begins
_STEPS = 1000
_CLOSE_ENOUGH = 1e-7  # a step that is so short, as a share of the same, is the last


def geometric_median(states: Sequence[State], weights: Sequence[float] = ()) -> dict[str, Tensor]:
    """Return the geometric median of models; an `Aggregator`.

    Args:
        states: w_k, one state per client, all with the same names and shapes.
        weights: are ignored.

    Raises:
        InputError: no states, different names or shapes, or numbers that are not finite.
    """
    vectors = as_vectors(states)
    z = middle(vectors)  # the mean could be far away, where attackers have put it
    scale = float(_distances(vectors, z).median())
    if scale == 0:  # half of the models are there, and no others pull harder
        return as_state(z, states)
    for _ in range(_STEPS):
        beta = 1 / _distances(vectors, z).clamp(min=_SMOOTHING * scale)
        before, z = z, (beta / beta.sum()) @ vectors
        if torch.linalg.vector_norm(z - before) <= _CLOSE_ENOUGH * scale:
            break
    return as_state(z, states)


def _distances(vectors: Tensor, z: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors - z, dim=1)

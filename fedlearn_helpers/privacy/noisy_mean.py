"""DP-FedAvg's server: the uniform mean of clipped models, plus Gaussian noise.

    w_{t+1} = (1 / m) sum_k w_k + N(0, (z C / m)^2)        w_k = w_t + clip(Delta_k, C), m clients in the round

A client that is left out, while m stays, moves the mean by at most C / m: the sensitivity. One that is exchanged for
another moves it by at most 2 C / m. The noise is z times the first.

Source: McMahan et al. 2018, https://arxiv.org/abs/1710.06963, algorithm 1 with uniform weights.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import State, uniform_mean
from fedlearn_helpers.errors import InputError, check_number
from fedlearn_helpers.metrics import check_weights
from fedlearn_helpers.privacy.clipping import check_clip_norm, floats_of, norm_of
from fedlearn_helpers.privacy.noise import add_noise
from fedlearn_helpers.seeds import check_seed, derive_seed

_ROUNDING = 1e-5  # by how much of their norm numbers in float32 may be off, after they were clipped and added


@dataclass(frozen=True)
class NoisyMean:
    """An aggregator for `federate("fedavg", …, mods=[clip_mod(clip_norm)], aggregator=NoisyMean(clip_norm, …))`.

    The noise depends on the seed and on what is averaged alone: every round has another noise, and a run that is
    repeated, or goes on from a checkpoint, has the same again. A real server draws it from a source that nobody knows.
    Whole numbers in a model, such as BatchNorm's counter, are averaged without noise, and are not private.

    Attributes:
        clip_norm: C, to which the clients have clipped their updates; > 0.
        noise_multiplier: z, >= 0.
        seed: of the noise.

    Raises:
        InputError: an attribute out of range.
    """

    clip_norm: float
    noise_multiplier: float
    seed: int

    def __post_init__(self) -> None:
        check_clip_norm(self.clip_norm)
        check_number("noise_multiplier", self.noise_multiplier, ">= 0", lambda multiplier: multiplier >= 0)
        check_seed(self.seed)

    def __call__(self, states: Sequence[State], weights: Sequence[float]) -> dict[str, Tensor]:
        """Return the noisy mean; see `Aggregator`.

        Raises:
            InputError: no states, weights that differ, which break the sensitivity, or models so far apart that they
                cannot have been clipped.
        """
        if not states or len(states) != len(weights):
            raise InputError(f"weights must have one entry per model ({len(states)}), got {len(weights)}")
        if len(set(numbers := check_weights(weights))) > 1:
            raise InputError(
                f"weights must be equal for a mean that one client moves by at most C / m, got {numbers}; "
                "use mods=[clip_mod(…)]"
            )
        mean = uniform_mean(states)
        self._check_clipped(states, mean)
        noise = derive_seed(self.seed, "server noise", _digest(mean))
        deviation = self.noise_multiplier * self.clip_norm / len(states)
        floats = floats_of(states[0])  # the mean of whole numbers has floats
        return mean | add_noise({name: mean[name] for name in floats}, deviation, noise)

    def _check_clipped(self, states: Sequence[State], mean: Mapping[str, Tensor]) -> None:
        """Check that no model is further from the mean than 2 C (1 - 1 / m), as all are within C of w_t."""
        floats = floats_of(states[0])
        farthest = max(norm_of({name: state[name] - mean[name] for name in floats}) for state in states)
        center = norm_of({name: mean[name] for name in floats})
        if farthest > 2 * self.clip_norm * (1 - 1 / len(states)) + _ROUNDING * (self.clip_norm + center):
            raise InputError(
                f"updates must be clipped to clip_norm ({self.clip_norm:g}) before they are averaged, got a model at a "
                f"distance of {farthest:g} from the mean; use mods=[clip_mod({self.clip_norm:g})]"
            )


def _digest(state: Mapping[str, Tensor]) -> int:
    """Return a whole number that tells a model from others, the same in every process."""
    digest = hashlib.sha256()
    for tensor in state.values():
        digest.update(np.ascontiguousarray(tensor.double().cpu().numpy()).tobytes())
    return int.from_bytes(digest.digest()[:16], "little")

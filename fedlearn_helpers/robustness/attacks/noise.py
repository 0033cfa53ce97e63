"""Gaussian noise: the attacker adds noise to its model.

    w_k <- w_k + N(0, s^2)        in every number

A broken device does the same without meaning to.

Source: Blanchard et al. 2017, https://arxiv.org/abs/1703.02757, section 5 (their attacker sends noise alone).
"""

from collections.abc import Collection

import torch
from flwr.clientapp.typing import Mod

from fedlearn_helpers.errors import check_number
from fedlearn_helpers.robustness.attacks.models import Numbers, Place, model_attack_mod
from fedlearn_helpers.seeds import check_seed, derive_seed


def noise_attack_mod(attackers: Collection[int], standard_deviation: float, seed: int) -> Mod:
    """Return a mod for `federate(…, mods=[…])`.

    Args:
        attackers: numbers of clients, from 0; may be empty.
        standard_deviation: s, > 0.
        seed: together with round and client it decides the noise.

    Raises:
        InputError: an argument out of range.
    """
    check_number("standard_deviation", standard_deviation, "> 0", lambda deviation: deviation > 0)
    seed = check_seed(seed)

    def add_noise(received: Numbers, trained: Numbers, place: Place) -> Numbers:
        noise = noise_like(trained, derive_seed(seed, "attack noise", place.server_round, place.client))
        return {name: tensor + standard_deviation * noise[name] for name, tensor in trained.items()}

    return model_attack_mod(attackers, add_noise)


def noise_like(state: Numbers, seed: int) -> Numbers:
    """Return numbers from N(0, 1) with the names, shapes and dtypes of a model."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor.dtype)
        for name, tensor in state.items()
    }

"""Scaling: the attacker sends a multiple of its update, so that it outweighs the others.

    w_k <- w_t + s (w_k - w_t)

With s = n / n_k, all examples over its own, and others that hardly move any more, the mean becomes the attacker's
model: with a backdoor in its data, this puts the backdoor into the global model in a single round ("model
replacement").

Source: Bagdasaryan et al. 2020, https://arxiv.org/abs/1807.00459, section 4.
"""

from collections.abc import Collection

from flwr.clientapp.typing import Mod

from fedlearn_helpers.errors import check_number
from fedlearn_helpers.robustness.attacks.models import model_attack_mod, stretched


def scale_mod(attackers: Collection[int], factor: float) -> Mod:
    """Return a mod for `federate(…, mods=[…])`.

    Args:
        attackers: numbers of clients, from 0; may be empty.
        factor: s, > 0.

    Raises:
        InputError: an argument out of range.
    """
    check_number("factor", factor, "> 0", lambda number: number > 0)
    return model_attack_mod(attackers, lambda received, trained, _: stretched(received, trained, factor))

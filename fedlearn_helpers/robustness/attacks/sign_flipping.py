"""Sign flipping: the attacker sends its update with the other sign, so that the server climbs where it should descend.

    w_k <- w_t - s (w_k - w_t)

With s = 1 the update has the norm of an honest one. f of n flipped updates times s leave (n - f - s f) / n of the mean:
nothing at s f = n - f.

Source: Li et al. 2019 (RSA), https://arxiv.org/abs/1811.03761, section 5.
"""

from collections.abc import Collection

from flwr.clientapp.typing import Mod

from fedlearn_helpers.errors import check_number
from fedlearn_helpers.robustness.attacks.models import model_attack_mod, stretched


def sign_flip_mod(attackers: Collection[int], factor: float = 1.0) -> Mod:
    """Return a mod for `federate(…, mods=[…])`.

    Args:
        attackers: numbers of clients, from 0; may be empty.
        factor: s, > 0.

    Raises:
        InputError: an argument out of range.
    """
    check_number("factor", factor, "> 0", lambda number: number > 0)
    return model_attack_mod(attackers, lambda received, trained, _: stretched(received, trained, -factor))

"""Inner-product manipulation: what the server adds up points against the honest direction, and need not be large.

    Delta = -epsilon mean_i Delta_i        over the colluders i, whose honest updates stand for those of all

Descent needs a positive inner product of the step and the true gradient; f colluders of n make it negative for the mean
once epsilon f > n - f. A small epsilon puts them near the honest updates, where Krum and the median look for the truth.

Source: Xie et al. 2020 (Fall of Empires), https://arxiv.org/abs/1903.03936, section 4. There the attacker knows the
updates of all honest clients.
"""

from collections.abc import Collection

from flwr.clientapp.typing import Mod

from fedlearn_helpers.errors import check_number
from fedlearn_helpers.robustness.attacks.colluders import colluding_mod, mean_of


def inner_product_mod(colluders: Collection[int], epsilon: float) -> Mod:
    """Return a mod for `federate(…, mods=[…])`; see `colluding_mod` for what colluders know and what it costs.

    Args:
        colluders: numbers of clients, from 0; may be empty.
        epsilon: > 0.

    Raises:
        InputError: an argument out of range.
    """
    check_number("epsilon", epsilon, "> 0", lambda number: number > 0)
    return colluding_mod(colluders, lambda updates: {key: -epsilon * step for key, step in mean_of(updates).items()})

"""A little is enough: all colluders send the mean of their own honest updates, moved by z standard deviations.

    Delta = mean_i Delta_i - z std_i Delta_i        over the colluders i, coordinate by coordinate

The models of honest clients differ. What is moved by less than they do looks like one of them, to each defence that
asks how far away a model is. The paper's z, about 1.5, is for clients that send one gradient a round over many rounds;
the updates of whole epochs differ less, and so does what can hide among them.

Source: Baruch et al. 2019, https://arxiv.org/abs/1902.06156, algorithm 3.
"""

from collections.abc import Collection, Sequence

import torch
from flwr.clientapp.typing import Mod

from fedlearn_helpers.errors import InputError, check_number
from fedlearn_helpers.robustness.attacks.clients import check_clients
from fedlearn_helpers.robustness.attacks.colluders import Numbers, colluding_mod, mean_of


def little_is_enough_mod(colluders: Collection[int], z: float) -> Mod:
    """Return a mod for `federate(…, mods=[…])`; see `colluding_mod` for what colluders know and what it costs.

    Args:
        colluders: numbers of clients, from 0; none, or at least two.
        z: > 0.

    Raises:
        InputError: an argument out of range.
    """
    check_number("z", z, "> 0", lambda number: number > 0)
    if len(check_clients("colluders", colluders)) == 1:
        raise InputError(f"colluders must be at least two, whose updates have a standard deviation, got {colluders!r}")

    def agree(updates: Sequence[Numbers]) -> Numbers:
        mean = mean_of(updates)
        spread = {key: torch.stack([update[key] for update in updates]).std(dim=0, correction=0) for key in mean}
        return {key: mean[key] - z * spread[key] for key in mean}

    return colluding_mod(colluders, agree)

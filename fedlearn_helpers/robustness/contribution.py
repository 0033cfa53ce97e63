"""What a client is worth to the federation.

    Shapley:        phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S))
    leave one out:  v(all) - v(all without i)

v(S) is the utility of a coalition S of clients, such as the test accuracy of the mean of their models. The Shapley
value is the mean of what a client adds, over all orders in which the clients can join. It alone is efficient (the
values add up to v(all) - v(nobody)), symmetric (equal clients get the same), pays nobody who adds nothing, and is
linear in v. Leaving one out costs n + 1 utilities and not 2^n, and says 0 for each of two clients with the same data.

Sources: Shapley 1953; for federated learning Wang et al. 2020, https://arxiv.org/abs/2009.06192.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import State, weighted_mean
from fedlearn_helpers.errors import InputError

Utility = Callable[[frozenset[int]], float]
"""Called with a coalition of players, which may be empty; the higher the better."""

_MOST_PLAYERS = 15  # 32,768 coalitions


def shapley(utility: Utility, players: Sequence[int]) -> dict[int, float]:
    """Return the exact Shapley value of each player. The utility is called once for each of the 2^n coalitions.

    Args:
        utility: v, finite.
        players: n numbers of clients, 1 to 15 of them, each once.

    Raises:
        InputError: no players, too many, one twice, or a utility that is not finite.
    """
    players = _checked(players, most=_MOST_PLAYERS)
    n = len(players)
    value = {
        frozenset(members): _utility_of(utility, members)
        for size in range(n + 1)
        for members in combinations(players, size)
    }
    share = [1 / (n * math.comb(n - 1, size)) for size in range(n)]  # |S|! (n - |S| - 1)! / n!
    return {
        player: math.fsum(
            share[len(without)] * (value[without | {player}] - value[without])
            for without in value
            if player not in without
        )
        for player in players
    }


def leave_one_out(utility: Utility, players: Sequence[int]) -> dict[int, float]:
    """Return by how much the utility of all falls without each player.

    Args:
        utility: v, finite.
        players: numbers of clients, each once.

    Raises:
        InputError: no players, one twice, or a utility that is not finite.
    """
    players = _checked(players)
    of_all = _utility_of(utility, players)
    return {
        player: of_all - _utility_of(utility, [other for other in players if other != player]) for player in players
    }


def utility_of_round(
    measure: Callable[[Mapping[str, Tensor]], float],
    received: State,
    states: Sequence[State],
    weights: Sequence[float],
) -> Utility:
    """Return v(S) = measure(FedAvg's mean of the models of S), and measure(received) for nobody.

    Args:
        measure: of a model, such as its accuracy.
        received: w_t, what all clients have begun with.
        states: w_k, client k's model at position k.
        weights: n_k, > 0.
    """

    def utility(coalition: frozenset[int]) -> float:
        members = sorted(coalition)
        if not members:
            return measure(received)
        return measure(weighted_mean([states[k] for k in members], [weights[k] for k in members]))

    return utility


def _checked(players: Sequence[int], most: int | None = None) -> list[int]:
    players = list(players)
    if not players or len(set(players)) < len(players) or (most is not None and len(players) > most):
        limits = "at least one client" if most is None else f"1 to {most} clients"
        raise InputError(f"players must be {limits}, each once, got {players}")
    return players


def _utility_of(utility: Utility, members: Sequence[int]) -> float:
    value = float(utility(frozenset(members)))
    if not math.isfinite(value):
        raise InputError(f"utility must be finite, got {value} for the coalition {sorted(members)}")
    return value

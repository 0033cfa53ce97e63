"""Exercise 3 of notebook 11: Shapley values."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number
from fedlearn_helpers.robustness.contribution import leave_one_out, shapley

_EXACT = 1e-9
_CLOSE = 0.25  # as far as values of sampled orders may be off, in games with utilities of about 1


class _Game:
    """A utility of coalitions: numbers by coalition of the places 0 to n - 1, for players with any names."""

    def __init__(self, players: Sequence[Any], utilities: Mapping[frozenset[int], float]) -> None:
        self.players, self.utilities, self.calls = list(players), utilities, 0
        self.place = {player: place for place, player in enumerate(players)}

    def __call__(self, coalition: Any) -> float:
        self.calls += 1
        if not isinstance(coalition, (frozenset, set, list, tuple)):
            raise TypeError(f"v takes a frozenset of players, and got {coalition!r}")
        if unknown := [member for member in coalition if member not in self.place]:
            raise ValueError(f"v knows the players {self.players}, and no {unknown[0]!r}")
        return self.utilities[frozenset(self.place[member] for member in coalition)]

    def __repr__(self) -> str:
        return "v"

    @property
    def right(self) -> np.ndarray:
        return _in_order(shapley(self.utilities.__getitem__, range(len(self.players))))

    @property
    def gain(self) -> float:
        """v of all less v of nobody."""
        return self.utilities[frozenset(range(len(self.players)))] - self.utilities[frozenset()]


def _in_order(values: Mapping[int, float]) -> np.ndarray:
    return np.array([values[place] for place in sorted(values)])


def _coalitions(n: int) -> list[frozenset[int]]:
    return [frozenset(members) for size in range(n + 1) for members in combinations(range(n), size)]


def _random_game(rng: np.random.Generator, players: Sequence[Any]) -> _Game:
    return _Game(players, {members: float(rng.normal()) for members in _coalitions(len(players))})


def _glove_game() -> _Game:
    """The first player has a left glove, two have a right one; only a pair is worth something."""
    return _Game("LMR", {members: float(0 in members and len(members) > 1) for members in _coalitions(3)})


def _summed(game: _Game, weight: Callable[[int, int], float], nobody: float | None = None) -> np.ndarray:
    """Return weighted sums of what each player adds to a coalition; the weight depends on its size and on n."""
    n = len(game.players)
    v = dict(game.utilities) if nobody is None else {**game.utilities, frozenset(): nobody}
    return np.array(
        [
            sum(weight(len(others), n) * (v[others | {i}] - v[others]) for others in v if i not in others)
            for i in range(n)
        ]
    )


def _share(size: int, n: int) -> float:
    return 1 / (n * math.comb(n - 1, size))


def _one_order(game: _Game, order: Sequence[int]) -> np.ndarray:
    added = np.zeros(len(order))
    for count, place in enumerate(order):
        before = frozenset(order[:count])
        added[place] = game.utilities[before | {place}] - game.utilities[before]
    return added


def _left_out(game: _Game) -> np.ndarray:
    return _in_order(leave_one_out(game.utilities.__getitem__, range(len(game.players))))


def _utilities_with(game: _Game, weight: Callable[[int, int], float]) -> np.ndarray:
    n = len(game.players)
    return np.array([sum(weight(len(s) - 1, n) * u for s, u in game.utilities.items() if i in s) for i in range(n)])


_ONE_ORDER = (
    "That is one order in which they join. Who comes later finds more there already: take the mean over all orders."
)
_ALONE = "That is what each is worth alone. Nobody looks at what a player adds to others who are there already."
_SHAPLEY_WRONGLY: tuple[tuple[Callable[[_Game], np.ndarray], str], ...] = (
    (
        _left_out,
        "That is leave one out: what is lost when a player goes and all others stay. Smaller coalitions count, too.",
    ),
    (
        lambda game: _left_out(game) * game.gain / _left_out(game).sum(),
        "That is leave one out, scaled so that the sum is right. Smaller coalitions count, too.",
    ),
    (lambda game: np.array([game.utilities[frozenset({i})] for i in range(len(game.players))]), _ALONE),
    (lambda game: _summed(game, lambda size, n: float(size == 0)), _ALONE),
    (
        lambda game: _summed(game, lambda size, n: 1 / 2 ** (n - 1)),
        "Every coalition counts the same: that is Banzhaf's value. In how many orders of joining does a coalition stand "
        "before the player?",
    ),
    (lambda game: _summed(game, lambda size, n: 1.0), "You add up what a player adds. It must be a mean over orders."),
    (lambda game: _one_order(game, range(len(game.players))), _ONE_ORDER),
    (lambda game: _one_order(game, range(len(game.players))[::-1]), _ONE_ORDER),
    (
        lambda game: game.right / game.right.sum(),
        "The values are divided by their sum. They must add up to v of all less v of nobody, not to 1.",
    ),
    (
        lambda game: _summed(game, _share, nobody=0.0),
        "You take the utility of nobody for 0. Ask for it: a model that nobody has trained guesses some labels, too.",
    ),
    (
        lambda game: _utilities_with(game, _share),
        "You average the utility of coalitions with the player. What does the player add to those who are there without it?",
    ),
    (
        lambda game: _summed(game, _share) * math.factorial(len(game.players)),
        "You sum over all orders. It must be the mean over them.",
    ),
    (
        lambda game: _summed(game, _share) * len(game.players),
        "For each size of a coalition you take the mean, and then the sum over the sizes. It must be the mean again.",
    ),
    (
        lambda game: _summed(game, lambda size, n: math.factorial(size) * math.factorial(n - size) / math.factorial(n)),
        "Something is wrong with the weights: for one player they must add up to 1. Of the n players, how many join after "
        "it?",
    ),
    (
        lambda game: _summed(game, lambda size, n: 1 / (n * math.comb(n, size))),
        "Something is wrong with the weights: for one player they must add up to 1. From how many others is a coalition "
        "chosen?",
    ),
    (
        lambda game: _summed(game, lambda size, n: _share(size, n) if size else 0.0),
        "The empty coalition is missing: in some orders a player is the first.",
    ),
    (
        lambda game: _summed(game, lambda size, n: _share(size, n) if size < n - 1 else 0.0),
        "The largest coalition is missing: in some orders a player is the last.",
    ),
    (lambda game: -game.right, "The sign is turned round: with the player less without."),
    (
        lambda game: np.full(len(game.players), game.gain / len(game.players)),
        "All get the same. Only players that add the same everywhere must.",
    ),
)


def _values_of(answer: Callable[..., Any], game: _Game) -> np.ndarray:
    """Return what an answer gives each player, in their order."""
    players = list(game.players)
    result = call(answer, game, players)
    if players != game.players:
        raise NotYet("values must leave the list of players as it is.")
    if not isinstance(result, Mapping):
        raise NotYet(
            f"values must return a dict, with a number for each player, and returns a {type(result).__name__}."
        )
    if set(result) != set(game.players):
        raise NotYet(f"The dict must have the keys {game.players}, and has {list(result)}.")
    numbers = np.array([number(result[player]) for player in game.players])
    if not np.isfinite(numbers).all():
        raise NotYet(f"Each value must be a finite number, and they are {numbers.tolist()}.")
    return numbers


def _test_shapley(answer: Callable[..., Any]) -> str:
    rng = np.random.default_rng(0)
    game = _random_game(rng, ("C", "H", "S", "V"))
    result = _values_of(answer, game)
    if not np.allclose(result, game.right, rtol=0, atol=_EXACT):
        _refuse_shapley(answer, game, result)
    glove = _glove_game()
    if not np.allclose(given := _values_of(answer, glove), [2 / 3, 1 / 6, 1 / 6], rtol=0, atol=_EXACT):
        raise NotYet(_glove_sentence(given))
    for players in (("A",), (7, 3), (5, 2, 9), ("C", "H", "S", "V"), (4, 0, 8, 2, 6)):
        game = _random_game(rng, players)
        result = _values_of(answer, game)
        if not np.allclose(result, game.right, rtol=0, atol=_EXACT):
            n = len(players)
            if n > 2:
                _refuse_known_values(game, result)
            raise NotYet(
                f"With {n} player{'s' * (n > 1)} the values must be {game.right.round(3).tolist()}, and are "
                f"{result.round(3).tolist()}. Does your function do something else for so many?"
            )
    return (
        "A left glove is worth 2/3, each of two right ones 1/6, although without one of those nothing is lost. For five "
        f"players you asked {game.calls} times; there are 32 coalitions. Where each is a training, keep what v said."
    )


def _refuse_known_values(game: _Game, result: np.ndarray) -> None:
    for wrong, sentence in _SHAPLEY_WRONGLY:
        if np.allclose(result, wrong(game), rtol=0, atol=1e-7):
            raise NotYet(sentence)


def _refuse_shapley(answer: Callable[..., Any], game: _Game, result: np.ndarray) -> None:
    """Say which mistake it is, or else which of the four properties is missing: there is only one value with all."""
    _refuse_known_values(game, result)
    if not np.array_equal(_values_of(answer, game), result):
        raise NotYet(
            "Two calls for the same game give different values: you draw orders. With so few players all of them can be "
            "taken."
        )
    if not math.isclose(result.sum(), game.gain, abs_tol=_EXACT):
        raise NotYet(
            f"The values add up to {result.sum():.3f}. They must add up to v of all less v of nobody: {game.gain:.3f}."
        )
    if np.abs(result - game.right).max() < _CLOSE:
        raise NotYet("The values are close, and not exact. Take all orders: with 4 players there are 24.")
    v, n = game.utilities, len(game.players)
    null = _Game(game.players, {members: v[members - {1}] for members in v})
    if abs(to_null := _values_of(answer, null)[1]) > _EXACT:
        raise NotYet(f"A player that adds nothing to any coalition must get 0, and gets {to_null:.3f}.")
    swap = {0: n - 1, n - 1: 0}
    twins = _Game(game.players, {members: v[members] + v[frozenset(swap.get(i, i) for i in members)] for members in v})
    given = _values_of(answer, twins)
    if abs(given[0] - given[n - 1]) > _EXACT:
        raise NotYet(
            "Two players that add the same to every coalition must get the same, and get "
            f"{given[0]:.3f} and {given[n - 1]:.3f}. Does the order of the list count?"
        )
    other = _random_game(np.random.default_rng(1), game.players)
    both = _Game(game.players, {members: v[members] + other.utilities[members] for members in v})
    if not np.allclose(_values_of(answer, both), result + _values_of(answer, other), rtol=0, atol=_EXACT):
        raise NotYet(
            "The values of the sum of two games must be the sums of their values, and are not. Do you divide by what "
            "depends on v?"
        )
    raise NotYet(_glove_sentence(_values_of(answer, _glove_game())))


def _glove_sentence(given: np.ndarray) -> str:
    return (
        "One player has a left glove, two have a right one, and a pair is worth 1. The values must be 2/3, 1/6, 1/6, and "
        f"are {given.round(3).tolist()}."
    )


shapley_by_hand = Exercise(
    name="shapley_by_hand",
    kind="code",
    difficulty="medium",
    minutes=10,
    hints=(
        "The players come one after the other. A player adds v of those who are there with it, less v of those who were "
        "there. Write that for one order, then for all.",
        "itertools.permutations(players) has all n! orders. Begin each with frozenset(), add a player with "
        "before | {player}, and divide the sums by the number of orders.",
    ),
    solution_code="""
        def values(v, players):
            from itertools import permutations

            orders = list(permutations(players))
            added = dict.fromkeys(players, 0.0)
            for order in orders:
                before = frozenset()
                for player in order:
                    added[player] += v(before | {player}) - v(before)
                    before = before | {player}
            return {player: total / len(orders) for player, total in added.items()}
    """,
    test=_test_shapley,
)

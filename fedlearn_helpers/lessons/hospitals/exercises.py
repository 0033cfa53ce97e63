"""The exercises of notebook 11."""

import math
import warnings
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number
from fedlearn_helpers.robustness.contribution import leave_one_out, shapley

_ROUNDED = 0.0501  # as far as a number with one decimal may be off
_TWO_DECIMALS = 1e-5  # as far as a number with two decimals may be off
_MOST_QUESTIONS = 2000  # then a search is stopped
_SPARE_QUESTIONS = 3  # beside one for each halving
_EXACT = 1e-9
_CLOSE = 0.25  # as far as values of sampled orders may be off, in games with utilities of about 1
_LEAST_ILL = 5  # test rows that a hospital must have to be asked for a sensitivity
_SAME = 1e-4  # as far as inputs may be off: they may be float32


# Exercise 1: the standard deviation of all rows


def _test_pooled_deviation(
    answer: Any, *, sizes: Sequence[int], means: Sequence[float], deviations: Sequence[float]
) -> str:
    given = number(answer)
    if not 0 < given < math.inf:
        raise NotYet(f"A standard deviation is above 0 where rows differ, and the answer is {given:g}.")
    n, m, s = (np.asarray(numbers, dtype=float) for numbers in (sizes, means, deviations))
    mean, within = np.average(m, weights=n), np.average(s**2, weights=n)
    between = np.average((m - mean) ** 2, weights=n)
    right = math.sqrt(within + between)
    if abs(given - right) <= _ROUNDED:
        return (
            f"Within the hospitals the variance is {within:g} on average, between their means {between:g}: together "
            f"{within + between:g}, and its root is {right:.1f}. The sums of n, x and x² say it without anybody's mean."
        )
    _refuse_without_between(given, n, m, s)
    _refuse_with_between(given, n, m, s)
    if given < right:
        raise NotYet(
            f"{given:g} is too small. Rows differ within a hospital, and the hospitals' means differ, too: both belong "
            "to it."
        )
    raise NotYet(
        f"{given:g} is too large. Variances are averaged by rows; and a hospital's mean is compared with the mean of "
        "all rows."
    )


def _refuse(given: float, known: Sequence[tuple[float, str]]) -> None:
    for wrong, sentence in known:
        if abs(given - wrong) <= _ROUNDED:
            raise NotYet(sentence)


def _refuse_without_between(given: float, n: np.ndarray, m: np.ndarray, s: np.ndarray) -> None:
    within = np.average(s**2, weights=n)
    apart = "The rows also differ because the hospitals' means do."
    _refuse(
        given,
        [
            (
                s.mean(),
                "That is the plain mean of the standard deviations. One hospital has more rows, and the means are apart.",
            ),
            (
                np.average(s, weights=n),
                f"That is the mean of the standard deviations, by rows. {apart} And what is averaged are variances.",
            ),
            (math.sqrt(within), f"That is the root of the mean variance: what is within the hospitals. {apart}"),
            (
                math.sqrt(np.mean(s**2)),
                f"That is the root of the plain mean of the variances. Weigh them by rows. {apart}",
            ),
            (within, f"That is the mean variance within the hospitals. {apart} And the root is missing."),
            (np.mean(s**2), f"That is the plain mean of the variances. Weigh them by rows. {apart}"),
            (s.sum(), "Standard deviations do not add up. What is averaged are variances, by rows."),
            (math.sqrt(np.sum(s**2)), f"The variances are added up. Take their mean, by rows. {apart}"),
            (np.average(m, weights=n), "That is the mean of all rows. Asked is how far the rows are from it."),
        ],
    )


def _refuse_with_between(given: float, n: np.ndarray, m: np.ndarray, s: np.ndarray) -> None:
    mean, within = np.average(m, weights=n), np.average(s**2, weights=n)
    between = np.average((m - mean) ** 2, weights=n)
    only_means = "That is how far the hospitals' means are apart. The rows of one hospital differ, too."
    _refuse(
        given,
        [
            (math.sqrt(between), only_means),
            (m.std(), only_means),
            (
                math.sqrt(within + m.var()),
                "The variance between the means counts both hospitals alike. One has more rows, and the mean of all rows "
                "is nearer to it.",
            ),
            (
                math.sqrt(np.mean(s**2) + m.var()),
                "Both parts are there. But you count the hospitals alike: weigh them by rows.",
            ),
            (
                math.sqrt(np.mean(s**2) + between),
                "Both parts are there. But the variances within the hospitals are to be weighed by rows, too.",
            ),
            (within + between, "That is the variance of all rows. One step is missing."),
            (
                math.sqrt(within) + math.sqrt(between),
                "You add two standard deviations. Add the variances, then take the root.",
            ),
            (
                np.average(s, weights=n) + math.sqrt(between),
                "You add two standard deviations. Add the variances, then take the root.",
            ),
            (
                math.sqrt(np.average(s**2 + m**2, weights=n)),
                "That is the root of the mean square of all rows. Before the root, the square of their mean is to be "
                "subtracted.",
            ),
            (
                math.sqrt(within + np.ptp(m) ** 2),
                "The part between is too large: compare each mean with the mean of all rows, not with the other's.",
            ),
            (
                math.sqrt(within + np.sum((m - mean) ** 2)),
                "The squared distances of the means are added up. Take their mean, by rows.",
            ),
        ],
    )


# Exercise 2: a median from counts


class _Stopped(BaseException):
    """Ends a search that goes on asking; no `except Exception` of a learner catches it."""


class _Counts:
    """What all hospitals together answer to "how many values are at most t?", and what they were asked."""

    def __init__(self, hospitals: Sequence[Sequence[int]]) -> None:
        self.values = sorted(value for rows in hospitals for value in rows)
        self.asked: list[Any] = []

    def __call__(self, t: Any) -> int:
        if len(self.asked) == _MOST_QUESTIONS:
            raise _Stopped
        self.asked.append(t)
        return bisect_right(self.values, t)

    def __repr__(self) -> str:
        return "count_at_most"


def _test_median(answer: Callable[..., Any]) -> str:
    small = [
        ([[3, 8, 41], [20, 5]], 0, 100),
        ([[20, 3], [8, 41]], 0, 100),
        ([[18, 18, 30], [18]], 18, 110),
        ([[90], [5, 90]], 0, 90),
        ([[-40, -7], [-12]], -50, 60),
        ([[7]], 7, 7),
    ]
    rng = np.random.default_rng(0)
    for _ in range(60):
        low = int(rng.integers(-60, 60))
        high = low + int(rng.integers(1, 80))
        sizes = rng.integers(1, 5, size=rng.integers(1, 5))
        small.append(([rng.integers(low, high + 1, size=size).tolist() for size in sizes], low, high))
    asked = [_questions(answer, *case) for case in small]
    for questions, (_, low, high) in zip(asked, small, strict=True):
        _refuse_many(questions, low, high)
    asked_last = _questions(answer, [rng.integers(0, 10**6, size=40).tolist() for _ in range(4)], 0, 10**6)
    _refuse_many(asked_last, 0, 10**6)
    return (
        f"Of a million possible values the median of four hospitals is found with {len(asked_last)} questions, and no "
        "hospital shows a row. But the median is somebody's value, and who may ask for any count finds any value."
    )


def _questions(answer: Callable[..., Any], hospitals: Sequence[Sequence[int]], low: int, high: int) -> list[Any]:
    """Return what a search asked for; a NotYet if it does not end, or with something else than the lower median."""
    counts = _Counts(hospitals)
    try:
        result = call(answer, counts, low, high)
    except _Stopped:
        repeated = sorted(set(counts.asked[-100:]))
        if len(repeated) < 4:
            raise NotYet(
                f"From low {low} and high {high} the search never ends: it asks for t = {repeated[-1]:g} again and again. "
                "With every answer the range must get smaller, also when it is two numbers wide."
            ) from None
        raise NotYet(f"From low {low} and high {high} more than {_MOST_QUESTIONS} questions were asked.") from None
    value = number(result)
    if not math.isfinite(value):
        raise NotYet(f"What median returns must be a finite number, and it is {value:g}.")
    if value != counts.values[(len(counts.values) - 1) // 2]:
        _refuse_median(value, counts, low, high)
    return counts.asked


def _refuse_many(asked: Sequence[Any], low: int, high: int) -> None:
    allowed = (high - low).bit_length() + _SPARE_QUESTIONS
    if len(asked) <= allowed:
        return
    if len(set(asked)) <= allowed:
        raise NotYet(
            f"{len(asked)} questions, and only {len(set(asked))} different ones: each costs a round. Ask once and keep the "
            "answer."
        )
    raise NotYet(
        f"The median is right, but took {len(asked)} questions from low {low} to high {high}; {allowed} are allowed. Let each "
        "answer halve the range."
    )


def _refuse_median(value: float, counts: _Counts, low: int, high: int) -> None:
    values, n = counts.values, len(counts.values)
    right, upper = values[(n - 1) // 2], values[n // 2]
    shown = f"{values}" if n < 20 else f"{n} values"
    returned = f"Of {shown} you return {value:g}"
    if n % 2 == 0 and right != upper and value == (right + upper) / 2:
        raise NotYet(f"{returned}: the mean of the two in the middle. Wanted is the lower one of them, {right}.")
    if value != int(value):
        raise NotYet(f"{returned}, which is not whole. Half of a range may be a fraction: // rounds it down.")
    if right == low and value in (low - 1, low + 1):
        raise NotYet(f"{returned}. The median may be low itself, {low} here: values equal to low are counted, too.")
    if right == high and value in (high - 1, high + 1):
        raise NotYet(f"{returned}. The median may be high itself, {high} here.")
    if n % 2 == 0 and value == upper:
        raise NotYet(f"{returned}: the upper of the two in the middle. Half of the values are enough, {n // 2} of {n}.")
    if not any(asked >= high for asked in counts.asked):
        raise NotYet(
            f"{returned}. To know what half of them is, you must know how many there are. Which question says that?"
        )
    if n % 2 and n > 1 and value == values[n // 2 - 1]:
        raise NotYet(
            f"{returned}: {n // 2} of {n} are at most that, less than half. Half of an odd number is rounded up."
        )
    if low < 0 <= value:
        raise NotYet(f"{returned}. Values may be below 0: the search must begin at low, {low} here.")
    if value == right - 1:
        last = (
            " It is the last threshold that you asked for: the answer says whether the median is above it."
            if value == counts.asked[-1]
            else ""
        )
        raise NotYet(f"{returned}, one too little: fewer than half of the values are at most that.{last}")
    if value == right + 1:
        raise NotYet(f"{returned}, one too much: one less is enough for half of the values.")
    raise NotYet(f"{returned}. The lower median is {right}: the smallest t with at least half of the values at most t.")


# Exercise 3: Shapley values


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


# Exercise 4: a threshold for a sensitivity

_Rates = Mapping[str, tuple[float, float]]


def _test_threshold(answer: Any, *, at: Callable[[float], _Rates], ill_rows: Mapping[str, int], wanted: float) -> str:
    value = number(answer)
    if not 0 <= value <= 1:
        percent = " It is no percentage." if 1 < value <= 100 else ""
        raise NotYet(f"The threshold is a probability, from 0 to 1, and it is {value:g}.{percent}")
    if abs(value * 100 - round(value * 100)) > _TWO_DECIMALS:
        raise NotYet(f"The answer has two decimals, such as {value:.2f}, and it is {value:g}.")
    value = round(value, 2)
    asked = [name for name, rows in ill_rows.items() if rows >= _LEAST_ILL]
    highest = _highest(at, asked, wanted)
    if value > highest:
        _refuse_too_high(value, at(value), asked, ill_rows, wanted)
    if value < highest:
        if len(asked) < len(ill_rows) and value == _highest(
            at, [name for name, rows in ill_rows.items() if rows], wanted
        ):
            small = [f"{name} ({rows})" for name, rows in ill_rows.items() if 0 < rows < _LEAST_ILL]
            raise NotYet(
                f"That is the highest for all hospitals. Those with fewer than {_LEAST_ILL} ill rows are not asked: "
                f"{', '.join(small)}. There, one patient decides."
            )
        raise NotYet(
            f"At {value:.2f} each of {', '.join(asked)} has a sensitivity of {wanted:g} or more. But it is not the highest "
            "such threshold: a higher one alarms fewer of the healthy."
        )
    specificities = ", ".join(f"{name} {rates[1]:.2f}" for name, rates in at(value).items() if math.isfinite(rates[1]))
    return (
        f"{value:.2f}. What it costs is the specificity: {specificities}. One threshold, and another price at each "
        "hospital. And you chose it on the rows that judge it: on new patients expect less."
    )


def _highest(at: Callable[[float], _Rates], asked: Sequence[str], wanted: float) -> float:
    """Return the highest threshold with two decimals at which the asked hospitals have the sensitivity; at 0 all do."""
    for hundredths in range(100, 0, -1):
        rates = at(hundredths / 100)
        if all(rates[name][0] >= wanted for name in asked):
            return hundredths / 100
    return 0.0


def _refuse_too_high(
    value: float, rates: _Rates, asked: Sequence[str], ill_rows: Mapping[str, int], wanted: float
) -> None:
    below = [name for name in asked if not rates[name][0] >= wanted]
    shown = ", ".join(f"{name} has {rates[name][0]:.2f} ({ill_rows[name]} ill rows)" for name in below)
    mean = np.mean([rates[name][0] for name in asked])
    each = f" The mean over hospitals is {mean:.2f}; wanted is that each has it." if mean >= wanted else ""
    raise NotYet(f"At {value:.2f} too many of the ill are missed: {shown}, and {wanted:g} is wanted.{each}")


# Exercise 5: inputs from rows

_Parts = tuple[list[np.ndarray], list[np.ndarray]]


def _hospitals(rng: np.random.Generator, sizes: Sequence[int]) -> list[np.ndarray]:
    """Return rows (n_k, 3) of hospitals that differ, a fifth of the values missing."""
    rows = []
    for place, size in enumerate(sizes):
        mean, deviation = (
            np.array([50, 130, 2]) + place * np.array([6, -9, 3]),
            np.array([9, 20, 1.5]) / (1 + place / 3),
        )
        values = mean + deviation * rng.normal(size=(size, 3))
        values[rng.random(values.shape) < 0.2] = math.nan
        values[:3] = mean + deviation * np.array([[-1.0, 0.4, 1.2], [0.3, -1.1, -0.7], [1.3, 1.4, 0.2]])
        values[[3, 4, 5], [0, 1, 2]] = math.nan
        rows.append(values)
    return rows


def _measured(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the measured values of each column."""
    return [column[~np.isnan(column)] for column in np.vstack(list(rows)).T]


def _by_column(function: Callable[[np.ndarray], Any], rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([function(column) for column in _measured(rows)], dtype=float)


def _right_inputs(train: Sequence[np.ndarray], test: Sequence[np.ndarray]) -> _Parts:
    mean, deviation = _by_column(np.mean, train), _by_column(np.std, train)
    deviation = np.where(deviation > 0, deviation, 1.0)
    prepared = [[np.nan_to_num((rows - mean) / deviation, nan=0.0) for rows in part] for part in (train, test)]
    return prepared[0], prepared[1]


def _prepared(answer: Callable[..., Any], train: Sequence[np.ndarray], test: Sequence[np.ndarray]) -> _Parts:
    """Return the inputs that an answer makes, as float arrays of the right shapes, or say what is wrong with them."""
    given = [[rows.copy() for rows in part] for part in (train, test)]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # means of nothing are told in a sentence
        result = call(answer, *given)
    for part, rows_before in zip(given, (train, test), strict=True):
        if len(part) != len(rows_before) or not all(
            now.shape == before.shape and np.array_equal(now, before, equal_nan=True)
            for now, before in zip(part, rows_before, strict=True)
        ):
            raise NotYet("prepare must leave the lists and arrays that it gets as they are: fill in a copy.")
    try:
        train_inputs, test_inputs = result
    except (TypeError, ValueError):
        raise NotYet("prepare must return two lists: train_inputs, test_inputs.") from None
    return (
        _arrays(train_inputs, train, "train_inputs", "training"),
        _arrays(test_inputs, test, "test_inputs", "test"),
    )


def _arrays(inputs: Any, rows: Sequence[np.ndarray], name: str, kind: str) -> list[np.ndarray]:
    try:
        arrays = [np.asarray(one, dtype=float) for one in inputs]
    except (TypeError, ValueError):
        raise NotYet(f"{name} must be a list of arrays of numbers, one for each hospital.") from None
    if len(arrays) != len(rows):
        raise NotYet(f"{name} must have an array for each of {len(rows)} hospitals, and has {len(arrays)}.")
    for place, (array, before) in enumerate(zip(arrays, rows, strict=True)):
        n, d = before.shape
        if array.ndim != 2:
            raise NotYet(f"{name}[{place}] must have the shape {(n, d)}, and has {array.shape}.")
        if len(array) != n:
            raise NotYet(
                f"Hospital {place} has {n} {kind} rows and gets {len(array)} inputs. No row is left out: what is missing "
                "is filled in."
            )
        if array.shape[1] > d:
            extra = array[:, d:]
            if (extra == extra[0]).all():
                raise NotYet(
                    f"A row of {d} values becomes {array.shape[1]} inputs: what is added is the same for all of a hospital. "
                    "So a model knows where a patient comes from, and for a hospital that is new it has no number."
                )
            raise NotYet(f"A row of {d} values must become {d} inputs, and becomes {array.shape[1]}.")
        if array.shape[1] < d:
            raise NotYet(f"A row of {d} values must become {d} inputs, and becomes {array.shape[1]}.")
    return arrays


def _test_prepare(answer: Callable[..., Any]) -> str:
    rng = np.random.default_rng(0)
    train, test = _hospitals(rng, (15, 9, 7)), _hospitals(rng, (8, 7, 8))
    inputs = _prepared(answer, train, test)
    for part, rows in zip(inputs, (train, test), strict=True):
        if np.isnan(np.vstack(part)[~np.isnan(np.vstack(rows))]).any():
            raise NotYet("Where a column has missing values, measured ones become NaN, too: np.mean of a NaN is NaN.")
        if not np.isfinite(np.vstack(part)).all():
            raise NotYet("Missing values are still NaN, or something else that is not finite.")
    _test_leaks(answer, train, test, inputs)
    _test_statistics(inputs, train, test)
    _test_gaps(answer, train, test)
    _test_other_hospitals(answer, train, test)
    return (
        "Averaged deviations show in a sum, a hospital's number in a shape. Test rows among those that fill in show in no "
        "accuracy: only a test that changes a test row, and looks at a training input, finds them."
    )


def _test_leaks(answer: Callable[..., Any], train: list[np.ndarray], test: list[np.ndarray], inputs: _Parts) -> None:
    """Change one test row: no other row's input may change."""
    changed = [rows.copy() for rows in test]
    changed[0][0] = [400.0, -700.0, 90.0]
    after = _prepared(answer, train, changed)
    before, now, rows = (np.vstack(part) for part in (inputs[0], after[0], train))
    moved = ~np.isclose(before, now, rtol=_SAME, atol=_SAME)
    if moved.any():
        if moved[~np.isnan(rows)].any():
            raise NotYet(
                "A test row changes, and with it measured training inputs: test rows decide how it is scaled. They must "
                "decide nothing."
            )
        raise NotYet(
            "A test row changes, and with it training inputs where a value was missing: what is filled in knows the test "
            "rows. They must decide nothing."
        )
    if not np.allclose(np.vstack(inputs[1])[1:], np.vstack(after[1])[1:], rtol=_SAME, atol=_SAME):
        raise NotYet(
            "A test row changes, and with it other test rows' inputs. A patient's input must not depend on who else is "
            "tested: prepare test rows with the training rows' numbers."
        )


def _line(values: np.ndarray, inputs: np.ndarray) -> tuple[float, float]:
    """Return c and s of inputs that are (values - c) / s at one hospital; a NotYet if they are not."""
    measured = ~np.isnan(values)
    x, z = values[measured], inputs[measured]
    slope = (z[x.argmax()] - z[x.argmin()]) / np.ptp(x)
    centre, scale = x[0] - z[0] / (slope or math.nan), 1 / (slope or math.nan)
    if not np.allclose(z, (x - centre) / scale, rtol=_SAME, atol=_SAME):
        raise NotYet("A measured value must become (value - mean) / deviation, with two numbers for each column.")
    return centre, scale


def _near(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.allclose(one, other, rtol=10 * _SAME, atol=_SAME))


def _test_statistics(inputs: _Parts, train: list[np.ndarray], test: list[np.ndarray]) -> None:
    """Read from the inputs what was subtracted, divided by and filled in, and say what it is if it is wrong."""
    lines = np.array(
        [
            [
                [_line(x, z) for x, z in zip(rows.T, array.T, strict=True)]
                for rows, array in zip(part, made, strict=True)
            ]
            for part, made in ((train, inputs[0]), (test, inputs[1]))
        ]
    )  # (train and test, hospitals, columns, c and s)
    centres, scales = lines[..., 0], lines[..., 1]
    _refuse_scales(scales, train)
    _refuse_centres(centres, train)
    fills = np.array(
        [
            [
                _filled(rows, array) * scale + centre
                for rows, array, scale, centre in zip(part, made, scales_of, centres_of, strict=True)
            ]
            for part, made, scales_of, centres_of in zip((train, test), inputs, scales, centres, strict=True)
        ]
    )
    _refuse_fills(fills, train)


def _filled(rows: np.ndarray, array: np.ndarray) -> np.ndarray:
    """Return the input in place of what is missing in each column; a NotYet if there are several."""
    fills = []
    for x, z in zip(rows.T, array.T, strict=True):
        made = z[np.isnan(x)]
        if np.ptp(made) > _SAME:
            raise NotYet("Missing values of one column and one hospital become different inputs. It is one number.")
        fills.append(made[0])
    return np.array(fills)


def _by_hospital(function: Callable[[np.ndarray], Any], train: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([_by_column(function, [rows]) for rows in train])


def _refuse_scales(scales: np.ndarray, train: list[np.ndarray]) -> None:
    right, own = _by_column(np.std, train), _by_hospital(np.std, train)
    if _near(scales, right):
        return
    if _near(scales[0], own):
        raise NotYet(
            "Each hospital divides by its own standard deviation: the same patient gets other inputs elsewhere. It is one "
            "for each column, that of all training rows."
        )
    if not _near(scales[0], scales[0][0]):
        raise NotYet("The hospitals divide by different numbers. It is one for each column.")
    if not _near(scales[1], scales[0][0]):
        raise NotYet("Test rows are not divided by what training rows are.")
    counts = np.array([[len(column) for column in _measured([rows])] for rows in train])
    mean, given = _by_column(np.mean, train), scales[0][0]
    filled = [np.where(np.isnan(rows), mean, rows) for rows in train]
    average = (
        "You divide by the average of the hospitals' standard deviations. That misses how far their means are apart: look at "
        "exercise 1."
    )
    for wrong, sentence in (
        (own.mean(axis=0), average),
        (np.average(own, axis=0, weights=counts), average),
        (np.average(own, axis=0, weights=[len(rows) for rows in train]), average),
        (
            np.sqrt(np.average(own**2, axis=0, weights=counts)),
            "You divide by the root of the mean variance. That is only what is within the hospitals: look at exercise 1.",
        ),
        (
            _by_column(np.std, filled),
            "You divide by the standard deviation after filling in. The mean was filled in where nobody measured: so the column "
            "looks less spread than what was measured. Take measured values alone.",
        ),
        (
            _by_column(lambda column: np.std(column, ddof=1), train),
            "You divide by n - 1 in the variance. Wanted is n, as np.nanstd does it.",
        ),
        (right**2, "You divide by the variance."),
        (np.ones(len(right)), "The values are not divided by anything."),
        (own[0], "You divide by the first hospital's standard deviation. It is that of all training rows."),
    ):
        if _near(given, wrong):
            raise NotYet(sentence)
    raise NotYet(
        f"Column 0 is divided by {given[0]:.3g}. The standard deviation of its measured training values, of all hospitals "
        f"together, is {right[0]:.3g}."
    )


def _refuse_centres(centres: np.ndarray, train: list[np.ndarray]) -> None:
    right, own = _by_column(np.mean, train), _by_hospital(np.mean, train)
    if _near(centres, right):
        return
    if _near(centres[0], own):
        raise NotYet(
            "Each hospital subtracts its own mean. That takes away how the hospitals differ: it is one mean for all."
        )
    if not _near(centres[0], centres[0][0]):
        raise NotYet("The hospitals subtract different numbers. It is one for each column.")
    given = centres[0][0]
    if not _near(centres[1], given):
        raise NotYet("From test rows something else is subtracted than from training rows.")
    if _near(given, own.mean(axis=0)):
        raise NotYet(
            "What is subtracted is the mean of the hospitals' means. Large hospitals have more rows: weigh them."
        )
    if _near(given, np.zeros(len(right))):
        raise NotYet("Nothing is subtracted: the mean of the training inputs is not 0.")
    raise NotYet(
        f"From column 0, {given[0]:.4g} is subtracted. The mean of its measured training values, of all hospitals together, "
        f"is {right[0]:.4g}."
    )


def _refuse_fills(fills: np.ndarray, train: list[np.ndarray]) -> None:
    right, own = _by_column(np.mean, train), _by_hospital(np.mean, train)
    if _near(fills, right):
        return
    if _near(fills[0], own):
        raise NotYet(
            "A missing value becomes the hospital's own mean. It is one number for all: the mean of all training rows."
        )
    if not _near(fills[0], fills[0][0]):
        raise NotYet("What is filled in is not the same at all hospitals.")
    given = fills[0][0]
    if not _near(fills[1], given):
        raise NotYet("In test rows something else is filled in than in training rows.")
    if _near(given, own.mean(axis=0)):
        raise NotYet(
            "What is filled in is the mean of the hospitals' means. Large hospitals have more rows: weigh them."
        )
    if _near(given, np.zeros(len(right))):
        raise NotYet("A missing value becomes the value 0, before it is scaled. Nobody has a blood pressure of 0.")
    if _near(given, _by_column(np.median, train)):
        raise NotYet("What is filled in is the median. Here it is the mean.")
    raise NotYet(
        f"In column 0, {given[0]:.4g} is filled in. The mean of its measured training values, of all hospitals together, is "
        f"{right[0]:.4g}."
    )


def _test_gaps(answer: Callable[..., Any], train: list[np.ndarray], test: list[np.ndarray]) -> None:
    """A column that one hospital has never measured, and one that is the same everywhere."""
    train, test = ([rows.copy() for rows in part] for part in (train, test))
    train[1][:, 2] = test[1][:, 2] = math.nan
    inputs = _prepared(answer, train, test)
    if not all(np.isfinite(np.vstack(part)).all() for part in inputs):
        raise NotYet(
            "A column that one hospital has never measured becomes NaN. Its own mean does not exist; that of all does."
        )
    if not _all_near(inputs, _right_inputs(train, test)):
        raise NotYet(
            "If one hospital has never measured a column, its inputs there must be 0, and the others' mean and deviation "
            "count. Something else comes out."
        )
    for part in (train, test):
        for rows in part:
            rows[:, 1] = np.where(np.isnan(rows[:, 1]), math.nan, 3.0)
    test[0][0, 1] = 5.0
    inputs = _prepared(answer, train, test)
    if not all(np.isfinite(np.vstack(part)).all() for part in inputs):
        raise NotYet("A column that is the same in all training rows is divided by 0. Divide by 1 there.")
    if not _all_near(inputs, _right_inputs(train, test)):
        raise NotYet(
            "A column is 3 in all training rows, and 5 in a test row. Divided by 1 the test row's input is 2, and it is "
            f"{inputs[1][0][0, 1]:.3g}."
        )


def _all_near(inputs: _Parts, right: _Parts) -> bool:
    return all(
        np.allclose(np.vstack(made), np.vstack(wanted), rtol=_SAME, atol=_SAME)
        for made, wanted in zip(inputs, right, strict=True)
    )


def _test_other_hospitals(answer: Callable[..., Any], train: list[np.ndarray], test: list[np.ndarray]) -> None:
    """Split one hospital in two, turn the list round, and take other numbers of hospitals."""
    rng = np.random.default_rng(1)
    for rows, tested, what in (
        (
            [train[0][:6], train[0][6:], *train[1:]],
            [test[0][:3], test[0][3:], *test[1:]],
            "one hospital's rows are split in two",
        ),
        (train[::-1], test[::-1], "the hospitals come in another order"),
        (_hospitals(rng, (9,)), _hospitals(rng, (7,)), "there is one hospital"),
        (_hospitals(rng, (8, 9, 30, 7, 12)), _hospitals(rng, (7, 8, 9, 7, 7)), "there are five hospitals"),
    ):
        if not _all_near(_prepared(answer, rows, tested), _right_inputs(rows, tested)):
            raise NotYet(f"The inputs are right for three hospitals. They are wrong if {what}.")


pooled_deviation = Exercise(
    name="pooled_deviation",
    kind="predict",
    difficulty="easy",
    minutes=4,
    hints=(
        "Think of two hospitals in which all patients are equal, 50 years here and 65 there. Both deviations are 0. Is "
        "that of all rows?",
        "The variance of all rows has two parts: the mean of the hospitals' variances, and the variance of their means. "
        "Both are weighed by rows. Then the root.",
    ),
    solution_code="""
        prediction = np.sqrt(
            np.average(np.square(asked_deviations) + np.square(asked_means), weights=asked_sizes)
            - np.average(asked_means, weights=asked_sizes) ** 2
        )
    """,
    test=_test_pooled_deviation,
)

median_by_counts = Exercise(
    name="median_by_counts",
    kind="code",
    difficulty="medium",
    minutes=8,
    hints=(
        "Ask first how many values there are: all are at most high. Then ask for the middle of the range. On which side is "
        "the median?",
        "rank = (total + 1) // 2. If count_at_most(middle) >= rank, the median is at most middle, so high = middle; else "
        "low = middle + 1. End when low == high.",
    ),
    solution_code="""
        def median(count_at_most, low, high):
            rank = (count_at_most(high) + 1) // 2
            while low < high:
                middle = (low + high) // 2
                if count_at_most(middle) >= rank:
                    high = middle
                else:
                    low = middle + 1
            return low
    """,
    test=_test_median,
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

threshold = Exercise(
    name="threshold",
    kind="explore",
    difficulty="easy",
    minutes=5,
    hints=(
        "at(0.5) gives each hospital's sensitivity and specificity. Which hospital is the last to reach the sensitivity as "
        "you lower the threshold?",
        "Go through t / 100 for t from 100 down to 0, and stop at the first at which each hospital with enough ill rows "
        "has at(t / 100)[hospital][0] >= wanted_sensitivity.",
    ),
    solution_code="""
        cutoff = max(
            t / 100
            for t in range(101)
            if all(
                at(t / 100)[hospital][0] >= wanted_sensitivity
                for hospital, rows in ill_rows.items()
                if rows >= 5
            )
        )
    """,
    test=_test_threshold,
)

bug_hunt = Exercise(
    name="bug_hunt",
    kind="code",
    difficulty="hard",
    minutes=12,
    hints=(
        "Ask of each line: whose rows decide here? And would another input come out if one hospital's rows were two "
        "hospitals' rows?",
        "np.nanmean and np.nanstd of np.vstack(train) are all that is needed, and what is missing becomes the mean. Where "
        "the deviation is 0 divide by 1.",
    ),
    solution_code="""
        def prepare(train, test):
            rows = np.vstack(train)
            mean, deviation = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)
            deviation = np.where(deviation > 0, deviation, 1.0)

            def inputs(part):
                return [(np.where(np.isnan(x), mean, x) - mean) / deviation for x in part]

            return inputs(train), inputs(test)
    """,
    test=_test_prepare,
)

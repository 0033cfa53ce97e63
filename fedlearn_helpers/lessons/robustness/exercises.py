"""The exercises of notebook 09."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number
from fedlearn_helpers.robustness.detection import flag, judge_flags

_ONE_DECIMAL = 1e-5  # as far as a number with one decimal may be off
_LIMITS = tuple(round(0.1 * tenths, 1) for tenths in range(5, 101))  # 0.5 to 10
_LEAST_FALL = 0.1  # a share of the accuracy without attack
_MOST_STRETCHED = 1.5  # by the filter of exercise 3, against the median of the others' norms
_SAME_DIRECTION = 0.999  # cosine
_ACROSS = 0.3  # cosine below which a direction is neither that of training nor the opposite


def _numbers(result: Any, count: int, what: str, known: Mapping[tuple[int, ...], str] | None = None) -> np.ndarray:
    """Return a learner's result as floats, or say that it is none; for some shapes it is known what went wrong."""
    try:
        values = np.asarray(result, dtype=float)
    except (TypeError, ValueError):
        raise NotYet(f"{what} must be an array of numbers.") from None
    if values.shape != (count,):
        if known and values.shape in known:
            raise NotYet(known[values.shape])
        raise NotYet(f"{what} must have {count} numbers, and its shape is {values.shape}.")
    return values


def _test_breakdown(answer: Any, *, num_clients: int, assumed: int) -> str:
    try:
        mean, trimmed, median = answer
    except (TypeError, ValueError):
        raise NotYet("The answer must be three numbers: (mean, trimmed mean, median).") from None
    given = [number(one) for one in (mean, trimmed, median)]
    if any(not math.isfinite(one) or one != int(one) for one in given):
        raise NotYet("The answers are numbers of clients, so they are whole: not shares.")
    if any(not 0 <= one <= num_clients for one in given):
        raise NotYet(f"There are {num_clients} clients, so each answer is from 0 to {num_clients}.")
    n, f = num_clients, assumed
    _refuse_mean(int(given[0]), n)
    _refuse_trimmed(int(given[1]), n, f)
    _refuse_median(int(given[2]), n)
    return (
        f"One client moves the mean as far as it likes. The trimmed mean survives the {f} that it cuts at each end, and "
        f"no more; the median survives as long as the honest clients are the majority: {n - (n - 1) // 2} of {n}."
    )


def _refuse_mean(given: int, n: int) -> None:
    if given == 1:
        raise NotYet("Mean: one attacker is enough to break it. How many does it survive, then?")
    if given:
        raise NotYet(
            f"Mean: it adds everything up and divides by {n}. How large must a single number be, to bring it anywhere?"
        )


def _refuse_trimmed(given: int, n: int, f: int) -> None:
    if given == f:
        return
    if given == 2 * f:
        raise NotYet(
            f"Trimmed mean: it cuts {2 * f} in all, {f} at each end. If all attackers send huge numbers they stand at "
            "the same end."
        )
    if given == n - 2 * f:
        raise NotYet(f"Trimmed mean: {given} is how many numbers are left in the middle. How many are cut at one end?")
    if given == f + 1:
        raise NotYet(f"Trimmed mean: of {f + 1} huge numbers, {f} are cut. What does the last one do to the mean?")
    if given == (n - 1) // 2:
        raise NotYet(f"Trimmed mean: that is for a rule that cuts all but the middle. This one cuts {f} at each end.")
    if given < f:
        raise NotYet(f"Trimmed mean: it survives more. At each end {f} numbers are cut, whatever they are.")
    raise NotYet(f"Trimmed mean: only {f} numbers are cut at each end, and the attackers may all stand at one.")


def _refuse_median(given: int, n: int) -> None:
    right = (n - 1) // 2
    if given == right:
        return
    if given == n // 2:
        raise NotYet(
            f"Median: of {n} numbers it is the mean of the two in the middle. If {given} are huge, one of the two is."
        )
    if given == n // 2 + 1:
        raise NotYet(f"Median: {given} of {n} are the majority, and then the number in the middle is one of theirs.")
    if given < right:
        raise NotYet(
            f"Median: it survives more. Put {n} numbers in order, with {given} huge ones: where is the middle?"
        )
    raise NotYet(f"Median: {given} of {n} is more than half. The number in the middle is then one of theirs.")


def _by_coordinate(updates: np.ndarray, low: int, high: int) -> np.ndarray:
    """Cut so many of the lowest and of the highest numbers of each coordinate."""
    return np.sort(updates, axis=0)[low : len(updates) - high].mean(axis=0)


def _without_counted(updates: np.ndarray, scores: np.ndarray, low: int, high: int) -> np.ndarray:
    """Cut so many of the clients with the lowest and with the highest scores."""
    return updates[np.argsort(scores)[low : len(updates) - high]].mean(axis=0)


def _by_magnitude(updates: np.ndarray, low: int, high: int) -> np.ndarray:
    order = np.argsort(np.abs(updates), axis=0)[low : len(updates) - high]
    return np.take_along_axis(updates, order, axis=0).mean(axis=0)


def _to_the_limits(updates: np.ndarray, f: int) -> np.ndarray:
    ordered = np.sort(updates, axis=0)
    return np.clip(updates, ordered[f], ordered[-f - 1]).mean(axis=0)


_CLIENTS_CUT = (
    "You drop whole clients. A client may be far away in one coordinate and honest-looking in all others: sort each "
    "coordinate by itself."
)
_TRIMMED_WRONGLY: tuple[tuple[Callable[[np.ndarray, int], np.ndarray], str], ...] = (
    (lambda u, f: u.mean(axis=0), "That is the plain mean: nothing is cut."),
    (lambda u, f: np.median(u, axis=0), "That is the median. Only f numbers go at each end; the others are averaged."),
    (lambda u, f: _by_coordinate(u, 0, f), "Only the largest are cut. An attacker can send very small numbers, too."),
    (lambda u, f: _by_coordinate(u, f, 0), "Only the smallest are cut. The largest f must go, too."),
    (lambda u, f: _by_coordinate(u, 0, 2 * f), "All 2f are cut at the top. It must be f at each end."),
    (lambda u, f: _by_coordinate(u, 2 * f, 0), "All 2f are cut at the bottom. It must be f at each end."),
    (lambda u, f: _by_coordinate(u, f // 2, f - f // 2), "You cut f numbers in all. It must be f at each end."),
    (lambda u, f: _by_coordinate(u, f // 2, f // 2), "You cut f numbers in all. It must be f at each end."),
    (lambda u, f: _by_coordinate(u, f, f + 1), "You cut one number too many at the top: the slice is u[f : n - f]."),
    (lambda u, f: _by_coordinate(u, f, max(f - 1, 0)), "You cut one number too few at the top."),
    (
        lambda u, f: u[f : len(u) - f].mean(axis=0),
        "The numbers are not sorted: you cut the first and the last clients.",
    ),
    (
        lambda u, f: np.sort(u, axis=1)[f : len(u) - f].mean(axis=0),
        "You sort the numbers within each client: np.sort takes the last axis unless it is told another. Use axis=0.",
    ),
    (
        lambda u, f: _by_magnitude(u, f, f),
        "You sort by magnitude. Then -100 is among the largest and 0 among the smallest: sort the numbers themselves.",
    ),
    (
        lambda u, f: _by_magnitude(u, 0, 2 * f),
        "You cut the largest magnitudes. Then all that is cut may be at one end: sort the numbers themselves.",
    ),
    (
        lambda u, f: _by_magnitude(u, 0, f),
        "You cut the f largest magnitudes. Sort the numbers themselves, and cut f at each end.",
    ),
    (lambda u, f: _without_counted(u, np.linalg.norm(u, axis=1), f, f), _CLIENTS_CUT),
    (lambda u, f: _without_counted(u, np.linalg.norm(u, axis=1), 0, f), _CLIENTS_CUT),
    (lambda u, f: _without_counted(u, np.linalg.norm(u, axis=1), 0, 2 * f), _CLIENTS_CUT),
    (lambda u, f: _without_counted(u, u.sum(axis=1), f, f), _CLIENTS_CUT),
    (lambda u, f: _without_counted(u, np.linalg.norm(u - np.median(u, axis=0), axis=1), 0, f), _CLIENTS_CUT),
    (lambda u, f: _without_counted(u, np.linalg.norm(u - np.median(u, axis=0), axis=1), 0, 2 * f), _CLIENTS_CUT),
    (
        lambda u, f: _by_coordinate(u, f, f) * (len(u) - 2 * f) / len(u),
        "You divide by n. After the cut n - 2f numbers are left in each coordinate: divide by that.",
    ),
    (
        lambda u, f: _by_coordinate(u, f, f) * (len(u) - 2 * f) / (len(u) - f),
        "You divide by n - f. After the cut n - 2f numbers are left in each coordinate: divide by that.",
    ),
    (lambda u, f: _by_coordinate(u, f, f) * (len(u) - 2 * f), "That is the sum of what is left. Divide it."),
    (_to_the_limits, "You pull the outer numbers in to the limit, where they still count. They must be dropped."),
)


def _test_trimmed(answer: Callable[..., Any]) -> str:
    def run(updates: np.ndarray, f: int) -> np.ndarray:
        given = updates.copy()
        result = call(answer, given, f)
        if not np.array_equal(given, updates):
            raise NotYet(
                "The function must leave the array that it gets as it is. updates.sort() sorts in place; np.sort(updates, "
                "axis=0) returns a new array."
            )
        n, d = updates.shape
        by_client = (
            f"You return one number for each of the {n} clients. It must be one for each of the {d} coordinates: the "
            "mean goes over the clients, axis=0."
        )
        return _numbers(result, d, "What is returned", {(n,): by_client})

    def compare(updates: np.ndarray, f: int) -> None:
        result, right = run(updates, f), _by_coordinate(updates, f, f)
        if np.allclose(result, right):
            return
        for wrong, sentence in _TRIMMED_WRONGLY:
            if len(updates) > 2 * f + 2 and np.allclose(result, wrong(updates, f)):
                raise NotYet(sentence)
        for count in range((len(updates) + 1) // 2):
            if np.allclose(result, _by_coordinate(updates, count, count)):
                raise NotYet(f"You cut {count} numbers at each end, and f is {f}.")
        raise NotYet(
            f"With f = {f} and {len(updates)} clients the first coordinate {updates[:, 0].round(2).tolist()} must become "
            f"{right[0]:.3g}, and becomes {result[0]:.3g}."
        )

    rng = np.random.default_rng(0)
    compare(rng.normal(size=(13, 4)) + rng.normal(size=4), 4)
    first = [[0.0, 10.0], [2.0, -50.0], [3.0, 20.0], [7.0, 1.0], [100.0, 4.0]]
    compare(np.array(first), 1)
    compare(rng.exponential(size=(8, 6)), 2)
    uncut = rng.normal(size=(4, 3))
    if not np.allclose(run(uncut, 0), uncut.mean(axis=0)):
        raise NotYet(
            "With f = 0 nothing is cut, and the mean of all must come out. (A slice [f:-f] is [0:-0] then, which is "
            "empty: name the end, [f : n - f].)"
        )
    ties = np.array([[1.0, 0.0], [1.0, 6.0], [2.0, 6.0], [6.0, 3.0]])
    if not np.allclose(run(ties, 1), [1.5, 4.5]):
        raise NotYet(
            "Of 1, 1, 2, 6 with f = 1 one 1 is cut and the other one stays: the mean is 1.5. Cut f numbers, not all that "
            "are equal to the smallest or the largest."
        )
    compare(rng.normal(size=(7, 7)), 3)
    compare(rng.normal(size=(5, 1)), 1)
    return (
        "f attackers can only make an honest number be cut in place of theirs: what is left lies between honest numbers, "
        "in each coordinate. Nobody has to find out who they are."
    )


def _test_passes(
    answer: Callable[..., Any],
    *,
    run: Callable[[Callable[[np.ndarray], Any]], tuple[float, float]],
    honest_accuracy: float,
) -> str:
    cosine = _refuse_what_cannot_work(answer)
    try:
        accuracy, share = run(answer)
    except Exception as error:
        raise NotYet(f"In the federation the attack ended with {type(error).__name__}: {error}") from None
    points = 100 * (honest_accuracy - accuracy)
    if share < 1:
        raise NotYet(
            f"The server let {share:.0%} of the attackers' updates pass. Not every honest update has the median norm: "
            "keep a distance from the limit."
        )
    least = 100 * _LEAST_FALL * honest_accuracy
    if points < least:
        change = f"falls by {points:.1f} points" if points > 0 else f"rises by {-points:.1f} points"
        wanted = f"All updates pass, and the accuracy {change}. It must fall by a tenth of what it was: by {least:.1f} points"
        if cosine < -_ACROSS:
            raise NotYet(f"{wanted}. The direction does harm. The filter lets longer updates pass.")
        if cosine < _ACROSS:
            raise NotYet(
                f"{wanted}. Your update stands nearly at right angles to an honest one: it disturbs little. Which "
                "direction undoes what the honest clients do?"
            )
        raise NotYet(f"{wanted}. Your update points where an honest one does, more or less.")
    return (
        f"The accuracy falls by {points:.1f} points, from {100 * honest_accuracy:.1f} % to {100 * accuracy:.1f} %, and "
        "every update has passed. A filter on the size says nothing about the direction."
    )


def _refuse_what_cannot_work(attack: Callable[..., Any]) -> float:
    """Refuse an attack that needs no federation to be judged; return its mean cosine with an honest update."""
    rng = np.random.default_rng(0)
    cosines = []
    for size, scale in ((3, 1.0), (50, 0.01), (2000, 0.1), (2000, 0.001)):
        honest = scale * (rng.normal(size=size) + 0.5)
        given = honest.copy()
        sent = _numbers(call(attack, given), size, "What attack returns").copy()
        if not np.array_equal(given, honest):
            raise NotYet("attack must leave the array that it gets as it is: return a new one.")
        if not np.isfinite(sent).all():
            raise NotYet("attack returns numbers that are not finite. Any server can find those, and leave them out.")
        if np.array_equal(sent, honest):
            raise NotYet("attack returns the honest update as it is: that is no attack.")
        if not sent.any():
            raise NotYet(
                "An update of zeros passes, and slows the others down a little. That is a free rider, no attack."
            )
        stretched = float(np.linalg.norm(sent) / np.linalg.norm(honest))
        if stretched > _MOST_STRETCHED:
            raise NotYet(
                f"Of an honest update with the norm {np.linalg.norm(honest):.3g} you make one that is {stretched:.3g} "
                "times as long. The filter lets 1.5 times the median of the others pass, and no more."
            )
        cosines.append(float(sent @ honest / np.linalg.norm(sent) / np.linalg.norm(honest)))
    if min(cosines) > _SAME_DIRECTION:
        raise NotYet("An honest update, longer or shorter, does hardly any harm: it still points where the others go.")
    return float(np.mean(cosines[1:]))


def _test_threshold(answer: Any, *, scores: Sequence[float], attackers: Collection[int]) -> str:
    value = number(answer)
    if not 0.5 - _ONE_DECIMAL < value < 10 + _ONE_DECIMAL:
        raise NotYet(f"The threshold must be from 0.5 to 10, and it is {value:g}.")
    if abs(value * 10 - round(value * 10)) > _ONE_DECIMAL:
        raise NotYet(f"The answer has one decimal, such as {round(value, 1):g}, and it is {value:g}.")
    value = round(value, 1)
    by_limit = {limit: sum(_mistakes(scores, limit, attackers)) for limit in _LIMITS}
    least = min(by_limit.values())
    accused, missed = _mistakes(scores, value, attackers)
    mistakes = f"accuses {_counted(accused, 'honest client')} and misses {_counted(missed, 'attacker')}"
    if accused + missed > least:
        nearest = min((limit for limit in _LIMITS if by_limit[limit] == least), key=lambda limit: abs(limit - value))
        way = "higher threshold flags fewer" if nearest > value else "lower threshold flags more"
        raise NotYet(
            f"{value:g} {mistakes}, {_counted(accused + missed, 'mistake')} in all. There is a threshold with {least or 'none'}. "
            f"A {way}."
        )
    return (
        f"{value:g} {mistakes}. No threshold does better here. But you chose it knowing who attacks, and for one round: "
        "elsewhere the same threshold may accuse others. And these updates were twice as long. Of ordinary length they "
        "are much harder to find where clients differ: section 5 counts how many are."
    )


def _mistakes(scores: Sequence[float], limit: float, attackers: Collection[int]) -> tuple[int, int]:
    """Return how many honest clients a threshold accuses, and how many attackers it misses."""
    verdict = judge_flags(flag(scores, limit), attackers)
    return len(verdict.accused), len(verdict.missed)


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def _test_combine(answer: Callable[..., Any]) -> str:
    def run(updates: list[list[float]], examples: list[float] | None = None) -> np.ndarray:
        rows, counts = np.array(updates), np.array(examples or [10.0] * len(updates))
        given = rows.copy(), counts.copy()
        with np.errstate(all="ignore"):  # an answer that divides by zero is told so in a sentence
            result = call(answer, *given)
        if not (np.array_equal(given[0], rows, equal_nan=True) and np.array_equal(given[1], counts)):
            raise NotYet("mended must leave the arrays that it gets as they are.")
        return _numbers(result, rows.shape[1], "What mended returns")

    _test_counts(run)
    _test_bound(run)
    _test_not_finite(run)
    _test_more_clients(run)
    for nothing in ([[math.nan, 1.0], [math.inf, 1.0]], [[math.nan, math.nan]]):
        rows, counts = np.array(nothing), np.full(len(nothing), 10.0)
        try:
            with np.errstate(all="ignore"):
                result = answer(rows, counts)
        except ValueError:
            continue
        except Exception as error:
            raise NotYet(
                f"If no update is finite a ValueError must be raised, and a {type(error).__name__} is. Look at what is "
                "left before you go on, and say what is wrong."
            ) from None
        raise NotYet(
            f"If no update is finite there is nothing to combine, and mended returns {np.round(result, 3).tolist()}. "
            "The model would be changed by it, or stay as it is and nobody would know. Raise a ValueError."
        )
    huge = run([[1.0, 0.0], [0.0, 1.0], [1e200, 1e200]])
    if not np.isfinite(huge).all() or np.linalg.norm(huge) > 1:
        raise NotYet(
            f"Of two updates with the norm 1 and one of numbers such as 1e200 comes {huge.tolist()}: its norm overflows. "
            "One client may move the mean by the median norm, divided by their number, at most."
        )
    return (
        "Each mistake alone hands the model to one client, and none shows while all are honest: the accuracy is as "
        "good. So a server is tested with the worst reply that can come, not with those that usually do."
    )


def _test_counts(run: Callable[..., np.ndarray]) -> None:
    result = run([[1.0, 0.0], [0.0, 1.0]], [10.0, 990.0])
    if np.allclose(result, [0.01, 0.99]):
        raise NotYet(
            "A client that says that it has 990 of 1,000 examples has 99 % of the say. The server cannot count them: "
            "all clients must count the same."
        )
    if np.allclose(result, [1.0, 1.0]):
        raise NotYet("The updates are added up. It must be their mean.")
    if not np.allclose(result, 0.5):
        raise NotYet(
            f"Two updates (1, 0) and (0, 1) must become (0.5, 0.5), whatever their clients claim to have, and become "
            f"{result.round(3).tolist()}."
        )
    if not np.allclose(run([[1.0, 0.0], [0.0, 1.0]], [10.0, 20.0]), 0.5):
        raise NotYet("A client with 20 examples still counts more than one with 10. All must count the same.")
    if not np.allclose(run([[1.0, 0.0], [0.0, 1.0]], [0.0, 20.0]), 0.5):
        raise NotYet("A client that claims 0 examples must count like the others: what it claims is not used.")


def _test_bound(run: Callable[..., np.ndarray]) -> None:
    result = run([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 296.0]])
    if np.allclose(result, [2 / 3, 2 / 3, 100 / 3]):
        raise NotYet(
            "Of the norms 2, 2 and 296 the bound is 100: their mean, which one client has moved. Their median is 2."
        )
    if np.allclose(result, [2 / 3, 2 / 3, 296 / 3]):
        raise NotYet("Nothing is clipped: an update with the norm 296 counts in full, beside two with the norm 2.")
    if np.allclose(result, [1 / 3] * 3):
        raise NotYet("All updates get the norm 1. The bound must be the median of their norms, 2 here.")
    if np.allclose(result, [1, 1, 0]):
        raise NotYet("The long update is left out. It must count, shortened to the median norm of those that are left.")
    if not np.allclose(result, 2 / 3):
        raise NotYet(
            "Updates along three axes with the norms 2, 2 and 296 must become (0.667, 0.667, 0.667), and become "
            f"{result.round(3).tolist()}."
        )
    result = run([[3.0, 4.0], [0.0, 0.0], [0.0, 1.0]])
    if not np.isfinite(result).all():
        raise NotYet("An update of zeros makes the result NaN. Its norm is 0: do not divide by it.")
    if np.allclose(result, [1 / 3, 2 / 3]):
        raise NotYet("Each number is clipped by itself: (3, 4) becomes (1, 1), which points elsewhere. Clip the norm.")
    if not np.allclose(result, [0.2, 0.6]):
        raise NotYet(
            f"(3, 4), (0, 0) and (0, 1) have the median norm 1 and must become (0.2, 0.6): (0.6, 0.8) and the two as "
            f"they are, divided by 3. They become {result.round(3).tolist()}."
        )
    result = run([[4.0, 0.0], [0.0, 1.0], [0.0, -4.0]])
    if np.allclose(result, [4 / 3, 0]):
        raise NotYet("An update with the norm 1, below the bound 4, is made longer. What is short stays as it is.")
    if not np.allclose(result, [4 / 3, -1]):
        raise NotYet(
            f"(4, 0), (0, 1) and (0, -4) must become (1.333, -1), and become {result.round(3).tolist()}. The median of "
            "the norms is 4, and all stay as they are."
        )
    result = run([[1.0, 0.0], [0.0, 3.0], [1.0, 0.0], [0.0, 100.0]])
    if not np.allclose(result, [0.5, 1.0]):
        raise NotYet(
            f"Of the norms 1, 3, 1 and 100 the median is 2, the mean of the two in the middle. The result must be "
            f"(0.5, 1), and is {result.round(3).tolist()}."
        )
    still = run([[0.0, 0.0], [0.0, 0.0], [0.0, 5.0]])
    if not np.allclose(still, 0):  # or next to it, where a norm has a least value
        raise NotYet(
            f"Most clients send zeros, so the median of the norms is 0, and the result must be zeros. It is "
            f"{still.tolist()}."
        )


def _test_not_finite(run: Callable[..., np.ndarray]) -> None:
    for bad in (math.nan, math.inf, -math.inf):
        name = "NaN" if math.isnan(bad) else "inf"
        for place, rows in enumerate(([[bad, 8.0], [4.0, 0.0], [0.0, 2.0]], [[4.0, 0.0], [0.0, 2.0], [0.0, bad]])):
            result = run(rows)
            if not np.isfinite(result).all():
                raise NotYet(
                    "One update has a NaN, and so has the result. NaN is not equal to anything, not even to itself: "
                    "`np.nan in update` is never true. Leave such an update out before anything else."
                    if name == "NaN"
                    else f"An update with {bad} gets through, and the result is {result.tolist()}. NaN is not all that is "
                    "not finite: np.isfinite says it for each number."
                )
            if np.allclose(result, [1.5, 1.0]):
                continue
            if np.allclose(result, [1.0, 2 / 3]):
                raise NotYet(
                    f"An update with {name} is left out, and you still divide by 3. Two updates are left: divide by 2."
                )
            if np.allclose(result, [2 / 3, 2 / 3]) or np.allclose(result, [1.0, 1.0]):
                raise NotYet(
                    f"An update with {name} is replaced by zeros. Their norm, 0, moves the median: the norms 4 and 2 have "
                    "the median 3. Leave the update out."
                )
            if np.allclose(result, [2.0, 1.0]):
                raise NotYet(
                    f"Where an update has {name} nothing is clipped any more, or the update counts in the median. Leave "
                    "it out before you look at the norms."
                )
            if place == 0 and result[1] > 1.0 + 1e-9:
                raise NotYet(
                    f"Of an update ({bad}, 8) the 8 counts. An update with {name} in one place is not to be trusted in "
                    "others: leave all of it out."
                )
            raise NotYet(
                f"{rows} must become (1.5, 1): two updates are left, with the median norm 3. You return "
                f"{result.round(3).tolist()}."
            )


def _test_more_clients(run: Callable[..., np.ndarray]) -> None:
    """Compare with a reference, with as many clients as no other test has."""
    rng = np.random.default_rng(0)
    for count, left_out in ((7, 0), (8, 2), (9, 1), (10, 3), (11, 0), (12, 1)):
        rows = rng.normal(size=(count, 5)) * rng.lognormal(sigma=1.5, size=(count, 1))
        examples = rng.integers(50, 500, size=count).astype(float)
        kept = np.ones(count, dtype=bool)
        kept[rng.choice(count, size=left_out, replace=False)] = False
        rows[~kept, rng.integers(5)] = rng.choice([math.nan, math.inf])
        norms = np.linalg.norm(rows[kept], axis=1)
        result, right = run(rows.tolist(), examples.tolist()), _clipped_mean(rows[kept], np.median(norms))
        if np.allclose(result, right):
            continue
        with_so_many = f"With {count} updates, of which {kept.sum()} can be used,"
        if np.allclose(result, _clipped_mean(rows[kept], norms.mean())):
            raise NotYet(f"{with_so_many} the bound is the mean of the norms. It must be the median, always.")
        if np.allclose(result, _clipped_mean(rows[kept], np.median(norms), examples[kept])):
            raise NotYet(f"{with_so_many} what clients claim counts. All must count the same, always.")
        if np.allclose(result, rows[kept].mean(axis=0)):
            raise NotYet(f"{with_so_many} nothing is clipped. The bound is the median norm, always.")
        raise NotYet(
            f"{with_so_many} with the norms {np.sort(norms).round(2).tolist()}, {right.round(3).tolist()} must come "
            f"out. You return {result.round(3).tolist()}. Does your function do something else for so many?"
        )


def _clipped_mean(updates: np.ndarray, bound: float, weights: np.ndarray | None = None) -> np.ndarray:
    norms = np.linalg.norm(updates, axis=1, keepdims=True)
    return np.average(updates * np.minimum(1, bound / norms), axis=0, weights=weights)


breakdown = Exercise(
    name="breakdown",
    kind="predict",
    difficulty="easy",
    minutes=3,
    hints=(
        "Think of one coordinate, and of attackers that all send 10**9. How many of them may come before the result is "
        "huge, too?",
        "The mean: a single huge number is enough. The trimmed mean: how many huge numbers does it cut? The median: as "
        "long as the number in the middle is honest.",
    ),
    solution_code="prediction = (0, assumed, (asked_clients - 1) // 2)",
    test=_test_breakdown,
)

trimmed = Exercise(
    name="trimmed",
    kind="code",
    difficulty="easy",
    minutes=6,
    hints=(
        "Put the numbers of each coordinate in order, over the clients. What is cut then stands at the two ends.",
        "np.sort(updates, axis=0) sorts each column and returns a new array. Of its n rows, those from f to n - f stay.",
    ),
    solution_code="""
        def trimmed(updates, f):
            ordered = np.sort(updates, axis=0)
            return ordered[f : len(updates) - f].mean(axis=0)
    """,
    test=_test_trimmed,
)

passes = Exercise(
    name="passes",
    kind="code",
    difficulty="medium",
    minutes=12,
    hints=(
        "The filter looks at one property of an update. Which one does it not look at?",
        "An update times -1 has the norm of the honest one. And a little more than that passes, too.",
    ),
    solution_code="""
        def attack(honest):
            return -1.25 * honest
    """,
    test=_test_passes,
)

threshold = Exercise(
    name="threshold",
    kind="explore",
    difficulty="easy",
    minutes=4,
    hints=(
        "mistakes(3.5) says how many mistakes the usual threshold makes. Are they honest clients accused, or attackers "
        "missed?",
        "Try each threshold from 0.5 to 10 in steps of 0.1, in a loop, and keep the one with the fewest mistakes.",
    ),
    solution_code="""
        limit = min([tenths / 10 for tenths in range(5, 101)], key=mistakes)
    """,
    test=_test_threshold,
)

bug_hunt = Exercise(
    name="bug_hunt",
    kind="code",
    difficulty="hard",
    minutes=12,
    hints=(
        "Put yourself in the attacker's place, one line after the other: what can one client send, so that this line "
        "does what it likes?",
        "np.isfinite(updates).all(axis=1) says for each update whether it can be used. What is a middle of the norms that "
        "one client cannot move? And who says how many examples there are?",
    ),
    solution_code="""
        def mended(updates, examples):
            kept = updates[np.isfinite(updates).all(axis=1)]
            if not len(kept):
                raise ValueError("no client has sent an update of finite numbers")
            norms = np.linalg.norm(kept, axis=1)
            bound = np.median(norms)
            factors = np.minimum(1, bound / np.maximum(norms, 1e-12))
            return (factors[:, None] * kept).mean(axis=0)
    """,
    test=_test_combine,
)

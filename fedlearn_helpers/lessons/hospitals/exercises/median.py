"""Exercise 2 of notebook 11: a median from counts."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number

_MOST_QUESTIONS = 2000  # then a search is stopped
_SPARE_QUESTIONS = 3  # beside one for each halving


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

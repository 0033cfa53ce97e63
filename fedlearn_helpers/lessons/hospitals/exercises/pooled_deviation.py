"""Exercise 1 of notebook 11: the standard deviation of all rows."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, number

_ROUNDED = 0.0501  # as far as a number with one decimal may be off


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

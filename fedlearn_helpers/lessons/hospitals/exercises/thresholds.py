"""Exercise 4 of notebook 11: a threshold for a sensitivity."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, number

_TWO_DECIMALS = 1e-5  # as far as a number with two decimals may be off
_LEAST_ILL = 5  # test rows that a hospital must have to be asked for a sensitivity


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

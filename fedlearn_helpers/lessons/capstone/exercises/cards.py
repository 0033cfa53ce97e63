"""Exercise 6 of notebook 12: a card."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fedlearn_helpers.decision import CARDS
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.capstone.exercises.answers import two
from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, number
from fedlearn_helpers.metrics import errors_needed, is_clear, standard_error

_WORDS = ("confirmed", "refuted", "undecided")


def _test_card(answer: Any, *, try_card: Callable[[int], Sequence[float]]) -> str:
    first, word = two(answer, 'a number and a word, such as (4, "undecided")')
    value = number(first)
    if value not in range(1, len(CARDS) + 1):
        raise NotYet(f"The number of a card is from 1 to {len(CARDS)}, and it is {value:g}.")
    word = word.strip().lower() if isinstance(word, str) else repr(word)
    if word not in _WORDS:
        raise NotYet(f"The second part must be one of {', '.join(map(repr, _WORDS))}, and it is {word!r}.")
    try:
        differences = np.asarray(try_card(int(value)), dtype=float)
    except InputError as error:
        raise NotYet(f"{error}.") from None
    clear = is_clear(differences.tolist())
    right = "undecided" if not clear else "confirmed" if differences.mean() > 0 else "refuted"
    if word != right:
        _refuse_word(word, right, differences)
    card = CARDS[int(value) - 1]
    return (
        f"{right.capitalize()}, in this small version with {len(differences)} seeds: {_mean_and_error(differences)}. A small "
        f"version says nothing about larger ones. What this workbook found: {card.found}"
    )


def _mean_and_error(differences: np.ndarray) -> str:
    return f"mean difference {differences.mean():.3g}, standard error {standard_error(differences.tolist()):.2g}"


def _refuse_word(word: str, right: str, differences: np.ndarray) -> None:
    n, needed = len(differences), errors_needed(len(differences))
    ahead = int((differences > 0).sum())
    if right == "undecided":
        if not np.isfinite(differences).all():
            why = "One seed has no number, so nothing is clear"
        elif n < 2:
            why = "One seed says nothing about others"
        elif 0 < ahead < n or not differences.all():
            why = f"The difference is above 0 in {ahead} of {n} seeds, and not in the others"
        else:
            why = (
                f"All {n} seeds have one sign, but the {_mean_and_error(differences)}: it would take {needed:.2f} standard "
                "errors"
            )
        none = " To find no clear difference is no proof that there is none." if word == "refuted" else ""
        raise NotYet(f"{why}.{none}")
    if word == "undecided":
        raise NotYet(
            f"All {n} seeds have one sign, and the {_mean_and_error(differences)}: more than {needed:.2f} standard errors "
            "from 0. That is clear."
        )
    side = "above" if right == "confirmed" else "below"
    raise NotYet(
        f"It is clear, and the other way round: all differences are {side} 0. A difference above 0 speaks for the claim."
    )


card = Exercise(
    name="card",
    kind="explore",
    difficulty="easy",
    minutes=5,
    hints=(
        "try_card(number) gives a difference for each seed; above 0 it speaks for the claim. Have all seeds the same sign?",
        "metrics.is_clear(try_card(number)) says whether other seeds would agree. If it is False the card is undecided.",
    ),
    solution_code="""
        outcome = (4, "undecided")
        if metrics.is_clear(try_card(4)):
            outcome = (4, "confirmed" if np.mean(try_card(4)) > 0 else "refuted")
    """,
    test=_test_card,
)

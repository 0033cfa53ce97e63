"""What several exercises of notebook 12 ask of an answer."""

import math
from collections.abc import Sequence
from typing import Any

from fedlearn_helpers.lessons.common.exercise import NotYet

_EXACT = 1e-9


def two(answer: Any, what: str) -> tuple[Any, Any]:
    """Return the two parts of an answer; `what` says in an error what they are."""
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise NotYet(f"The answer must be two things in brackets, {what}.")
    return answer[0], answer[1]


def same(one: float, other: float) -> bool:
    """Whether two numbers are equal to 1e-9, or both nan."""
    return math.isclose(one, other, rel_tol=0, abs_tol=_EXACT) or math.isnan(one) and math.isnan(other)


def refuse_near(given: float, known: Sequence[tuple[Any, str]]) -> None:
    """Refuse an answer that is one of the known wrong ones, each with the sentence that it gets."""
    for wrong, sentence in known:
        if same(given, float(wrong)):
            raise NotYet(sentence)

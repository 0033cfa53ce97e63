"""Mistakes a user can fix: a single sentence, no traceback in a notebook."""

import math
import operator
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any


class InputError(ValueError):
    """A value that cannot work; the message names the argument, the value and what is allowed.

    IPython calls `_render_traceback_` when a cell raises. A learner who mistyped a parameter
    needs the sentence, not thirty lines of the code that found the mistake.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class DataUnavailableError(InputError):
    """A data set that is neither on this machine nor reachable over the network."""


def one_line(error: Exception) -> str:
    """Return the kind of an error and what it says without line breaks, to put into another message."""
    kind, said = type(error).__name__, " ".join(str(error).split())
    return f"{kind}: {said}" if said else f"{kind} without a message"


def check_one_of(argument: str, value: object, known: Iterable[object]) -> None:
    """Check that a value is one of those known.

    Raises:
        InputError: it is not; the message lists them.
    """
    if value not in (known := list(known)):
        raise InputError(f"{argument} must be {', '.join(map(repr, known))}, got {value!r}")


def as_whole_number(value: Any) -> int | None:
    """Return an integer of any kind, such as NumPy's, as Python's own; None for all else, True and False included."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def check_whole_number(argument: str, value: object, least: int) -> int:
    """Return a whole number, NumPy's too, as Python's own; raise an InputError if it is none, or below the least."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(f"{argument} must be a whole number >= {least}, got {value!r}")
    return int(value)


def check_number(argument: str, value: Any, limits: str, holds: Callable[[Any], bool]) -> None:
    """Raise an InputError unless a value is a finite number within limits, which are given in words and as a test."""
    is_number = isinstance(value, Real)
    if not (is_number and -math.inf < value < math.inf and holds(value)):
        raise InputError(f"{argument} must be {limits}, got {value!r}")

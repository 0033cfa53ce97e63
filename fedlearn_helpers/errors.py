"""Mistakes a user can fix: a single sentence, no traceback in a notebook."""

from collections.abc import Iterable
from numbers import Integral


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
    return " ".join(f"{type(error).__name__}: {error}".split())


def check_one_of(argument: str, value: object, known: Iterable[object]) -> None:
    """Check that a value is one of those known.

    Raises:
        InputError: it is not; the message lists them.
    """
    if value not in (known := list(known)):
        raise InputError(f"{argument} must be {', '.join(map(repr, known))}, got {value!r}")


def check_whole_number(argument: str, value: object, least: int) -> int:
    """Return a whole number, which may be one of NumPy's, as Python's own.

    Raises:
        InputError: it is no whole number, or below the least.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(f"{argument} must be a whole number >= {least}, got {value!r}")
    return int(value)

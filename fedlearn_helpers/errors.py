"""One exception for mistakes a user can fix: a single sentence, no traceback in a notebook."""


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

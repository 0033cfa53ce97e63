"""What a partition rule is: a name, a number, one line of help, and a function."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError

MakeParts = Callable[[np.ndarray, int, float, int, int], list[np.ndarray]]
"""Called with labels (n,), the number of clients, the rule's number, min_size and seed."""


@dataclass(frozen=True)
class PartitionRule:
    """A rule by which examples are dealt out to clients.

    Attributes:
        name: in parameters and on the command line.
        help: what clients get, in one line.
        make: returns one sorted array of indices per client.
        argument: the name of its number; None if it takes none.
        default: of the number.
        whole: whether the number must be a whole one.
    """

    name: str
    help: str
    make: MakeParts
    argument: str | None = None
    default: float = 0.0
    whole: bool = False

    @property
    def pattern(self) -> str:
        """How it is written with its number, such as "dirichlet:ALPHA"."""
        return self.name if self.argument is None else f"{self.name}:{self.argument.upper()}"

    def read_number(self, text: str) -> float:
        """Return the number behind the colon in a text such as "dirichlet:0.1"; 0 for a rule that takes none.

        Raises:
            InputError: the number is missing, not > 0, not whole where it must be, or not wanted.
        """
        _, colon, number = text.partition(":")
        if self.argument is None:
            if colon:
                raise InputError(f"partition {self.name} takes no number, got {text!r}")
            return 0.0
        try:
            value = int(number) if self.whole else float(number)
            if not math.isfinite(value) or value <= 0:
                raise ValueError
        except ValueError:
            kind = "whole number" if self.whole else "number"
            raise InputError(
                f"partition must look like {self.name}:{self.argument}, with a {kind} > 0, got {text!r}"
            ) from None
        return value

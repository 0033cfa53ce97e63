"""What every answer must be, and what becomes of one that is not: a sentence with the site and the question."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.statistics.questions import Answer, Asked
from fedlearn_helpers.statistics.sums import add_exactly


class SitesMissing(InputError):
    """Not all sites have answered a question: the total of the others is not what was asked for.

    A program that can do with fewer sites catches this error, and says so where it shows its result.

    Attributes:
        missing: names of the sites that are not in the total.
        total: of the others, int64 (d,); None where there is none, or none that may be unmasked.
    """

    def __init__(self, message: str, missing: tuple[str, ...] = (), total: np.ndarray | None = None) -> None:
        super().__init__(message)
        self.missing, self.total = missing, total


def site_names(sites: Sequence[Any]) -> list[str]:
    """Return the sites' `name`s; a site without one has its number, from 0.

    Raises:
        InputError: no site, or two of one name.
    """
    names = [str(getattr(site, "name", f"site {number}")) for number, site in enumerate(sites)]
    if not names:
        raise InputError("sites must be at least one, got none")
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"sites must have names of their own, got {twice[0]!r} twice")
    return names


def check_question(question: str, answers: Mapping[str, Answer]) -> None:
    """Raise an InputError unless there is an answer to a question."""
    if question not in answers:
        raise InputError(f"question must be one of {', '.join(map(repr, answers))}, got {question!r}")


def answer_of(name: str, site: Any, question: str, asked: Asked, answers: Mapping[str, Answer]) -> np.ndarray:
    """Return a site's answer, int64 (d,).

    Args:
        name: of the site.
        site: its data.
        question, asked: what it is asked.
        answers: by question.

    Raises:
        InputError: no such question, an answer that is no vector of int64, or whatever the answer's function raises.
    """
    check_question(question, answers)
    try:
        given = answers[question](site, asked)
    except Exception as error:
        words = str(error) if isinstance(error, InputError) else one_line(error)
        raise InputError(f"site {name!r} could not answer {question!r}: {words}") from error
    if not isinstance(given, np.ndarray) or given.dtype != np.int64 or given.ndim != 1:
        got = f"{given.dtype} {given.shape}" if isinstance(given, np.ndarray) else type(given).__name__
        raise InputError(f"site {name!r} must answer {question!r} with an array of int64 and shape (d,), got {got}")
    return given


def total_of(question: str, given: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the sum of the answers, int64 (d,), by the name of the site.

    Raises:
        InputError: answers of different lengths, or sums that are no int64.
    """
    check_lengths(question, {name: len(answer) for name, answer in given.items()})
    return add_exactly(f"the answers to {question!r}", np.stack(list(given.values())))


def check_lengths(question: str, lengths: Mapping[str, int]) -> None:
    """Check that the answers of all sites have one length.

    Raises:
        InputError: they have not; the message names the sites with the rarest one.
    """
    if len(set(lengths.values())) > 1:
        every = list(lengths.values())
        usual = max(every, key=every.count)
        other = ", ".join(f"{length} from {name!r}" for name, length in lengths.items() if length != usual)
        raise InputError(f"the answers to {question!r} must have one length, {usual} as from most sites, got {other}")

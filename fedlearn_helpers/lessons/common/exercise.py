"""What an exercise is: a question, two hints, a solution, and a test that says what is wrong with an answer.

An exercise cell in a notebook holds a stub: `...` stands for what the learner is to write. So a notebook runs from
top to bottom with nothing attempted.
"""

import html
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from fedlearn_helpers.errors import one_line

Kind = Literal["predict", "code", "explore"]
Difficulty = Literal["easy", "medium", "hard"]
Status = Literal["correct", "not yet", "not attempted", "handed in"]

_COLORS = {"correct": "#1a7f37", "not yet": "#9a4b00", "not attempted": "#57606a", "handed in": "#57606a"}
_TITLES = {
    "correct": "✓ Correct.",
    "not yet": "✗ Not yet.",
    "not attempted": "Not attempted yet.",
    "handed in": "Ready to be handed in.",
}


class NotYet(Exception):
    """An answer is wrong; the message tells the learner what about it, and helps."""


@dataclass(frozen=True)
class Verdict:
    """What came of a check; shows itself in a notebook.

    Attributes:
        status: "correct", "not yet", "not attempted", or "handed in" where there is no test.
        message: for the learner.
        help: where to get help, said after the message; empty if nowhere.
    """

    status: Status
    message: str
    help: str = ""

    def __repr__(self) -> str:
        return f"{_TITLES[self.status]} {self._said}".strip()

    @property
    def _said(self) -> str:
        return f"{self.message}\n{self.help}".strip()

    def _repr_html_(self) -> str:
        color = _COLORS[self.status]
        return (
            f'<div role="status" class="fedlearn-check" data-status="{self.status}" '
            f'style="border-left:4px solid {color};padding:.3em .8em;white-space:pre-wrap">'
            f'<strong style="color:{color}">{_TITLES[self.status]}</strong> {html.escape(self._said)}</div>'
        )


@dataclass
class Exercise:
    """One exercise.

    Attributes:
        name: the variable in the exercise's module, with which the learner asks for hints.
        kind: "predict" (then run), "code" (write a function) or "explore" (by parameter).
        difficulty, minutes: how hard it is and how long it takes.
        hints: a first one, and a second one that says more (not in an edition for graded work).
        solution_code: a tested function, whose source is shown, or the lines that answer the question. None in an
            edition for graded work.
        test: called with the answer and what the notebook hands over; raises NotYet, or returns what there is to say
            about a right answer. None in an edition for graded work, if it would give the answer away.
    """

    name: str
    kind: Kind
    difficulty: Difficulty
    minutes: int
    hints: tuple[str, ...]
    solution_code: Callable[..., Any] | str | None
    test: Callable[..., str] | None
    _hints_given: int = field(default=0, init=False, repr=False)

    @property
    def solution_source(self) -> str:
        """The code that, in the exercise's cell, answers it; empty in an edition for graded work."""
        if self.solution_code is None:
            return ""
        if isinstance(self.solution_code, str):
            return textwrap.dedent(self.solution_code).strip()
        return inspect.getsource(self.solution_code).strip()

    def check(self, answer: Any, **given: Any) -> Verdict:
        """Test an answer and say what is wrong with it.

        Args:
            answer: what the exercise cell defines: a value, or a function.
            given: what the test needs of the notebook.
        """
        if answer is ...:
            return self._not_attempted()
        if self.test is None:
            code = getattr(answer, "__code__", None)
            untouched = code is not None and ... in code.co_consts
            return self._not_attempted() if untouched else Verdict("handed in", "It is tested when it is graded.")
        try:
            return Verdict("correct", self.test(answer, **given))
        except NotAttempted:
            return self._not_attempted()
        except NotYet as error:
            return Verdict("not yet", str(error), f"exercises.{self.name}.hint() gives a hint." if self.hints else "")

    def hint(self) -> None:
        """Print the first hint, and at the next call the second; then say that there is no other."""
        number = min(self._hints_given, len(self.hints) - 1)
        print(f"Hint {number + 1} of {len(self.hints)}: {self.hints[number]}")
        if self._hints_given >= len(self.hints) and self.solution_code is not None:
            print(f"There is no other hint; exercises.{self.name}.solution() shows a solution.")
        self._hints_given += 1

    def solution(self) -> None:
        """Show a solution."""
        if self.solution_code is None:
            print("There are no solutions in this edition: it is for graded work.")
            return
        from IPython.display import Code, display

        display(Code(self.solution_source, language="python"))

    def _not_attempted(self) -> Verdict:
        solution = "" if self.solution_code is None else f", exercises.{self.name}.solution() shows a solution"
        return Verdict(
            "not attempted",
            "Put your answer in place of the ... above, run that cell, then this one.\n"
            f"exercises.{self.name}.hint() gives a hint{solution}.",
        )


class NotAttempted(Exception):
    """A function still returns `...`."""


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a learner's function on a test case.

    Raises:
        NotAttempted: it returned `...`, or raised NotImplementedError.
        NotYet: it is no function, it raised, or it returned nothing.
    """
    if not callable(function):
        raise NotYet(f"The answer must be a function, and it is {_shown(function)}.")
    try:
        result = function(*arguments)
    except NotImplementedError:
        raise NotAttempted from None
    except Exception as error:
        shown = ", ".join(_shown(argument) for argument in arguments)
        raise NotYet(f"{function.__name__}({shown}) raised {one_line(error)}") from None
    if result is ...:
        raise NotAttempted
    if result is None:
        raise NotYet(f"{function.__name__} returned None. Is there a return at its end?")
    return result


def number(answer: Any) -> float:
    """Return an answer that must be a number.

    Raises:
        NotYet: it is something else.
    """
    if not isinstance(answer, bool) and hasattr(answer, "__float__"):
        try:
            return float(answer)
        except (TypeError, ValueError):  # an array of several numbers
            pass
    raise NotYet(f"The answer must be a number, and it is {_shown(answer)}.")


def choice(answer: Any, options: dict[str, str | None]) -> None:
    """Test an answer to a question with options.

    Args:
        answer: what the learner chose.
        options: by letter, why it is wrong; None for the right one.

    Raises:
        NotYet: not one of the letters, or a wrong one.
    """
    letter = answer.strip().upper() if isinstance(answer, str) else answer
    if letter not in options:
        raise NotYet(f"The answer must be one of {', '.join(map(repr, options))}, and it is {_shown(answer)}.")
    if (objection := options[letter]) is not None:
        raise NotYet(objection)


def _shown(thing: Any) -> str:
    text = " ".join(repr(thing).split())
    return text if len(text) <= 80 else text[:77] + "..."

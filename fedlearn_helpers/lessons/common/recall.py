"""Recall questions: ten short ones at a notebook's end, of which every option says why it is right or wrong.

An option is a fold that opens at a click, so it works in a saved page and needs no kernel.
"""

import html
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """One option of a question.

    Attributes:
        text: what a reader chooses.
        reason: why it is right, or what is wrong with the idea behind it.
        right: whether it is the answer.
    """

    text: str
    reason: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        text: the question, plain text.
        options: three or four, one of them right.
        of: the number of the earlier notebook that taught it, such as "01"; empty for this one.
    """

    text: str
    options: tuple[Option, ...]
    of: str = ""

    @property
    def answer(self) -> Option:
        """The right option."""
        return next(option for option in self.options if option.right)


@dataclass(frozen=True)
class Recall:
    """A notebook's recall questions; at the end of a cell they show themselves."""

    questions: tuple[Question, ...]

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        questions = "".join(f'<li style="margin:.8em 0">{_question(question)}</li>' for question in self.questions)
        return f'<div class="fedlearn-recall">Choose, then open your choice.<ol>{questions}</ol></div>'

    def _lines(self) -> Iterator[str]:
        for number, question in enumerate(self.questions, 1):
            yield f"{number}. {question.text}{_origin(question)}"
            for letter, option in zip("ABCD", question.options, strict=False):
                yield f"   {letter}. {option.text}"


def _question(question: Question) -> str:
    return f"{html.escape(question.text + _origin(question))}{''.join(map(_option, question.options))}"


def _option(option: Option) -> str:
    mark, color = ("✓ Right.", "#1a7f37") if option.right else ("✗ No.", "#9a4b00")
    return (
        f'<details style="margin:.2em 0 .2em 1em"><summary>{html.escape(option.text)}</summary>'
        f'<div style="border-left:4px solid {color};padding:.1em .8em">'
        f'<strong style="color:{color}">{mark}</strong> {html.escape(option.reason)}</div></details>'
    )


def _origin(question: Question) -> str:
    return f" (notebook {question.of})" if question.of else ""

"""What the notebooks say about themselves, and the parts of the site's pages that are made of it.

Outcomes, times and papers stand in the notebooks; the site repeats them, so it reads them there.
"""

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
import typer.main

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common import contents
from workbook_tools import cli
from workbook_tools.execution.notebooks import of_the_workbook

_REFERENCE = re.compile(r"- (?P<authors>.+?) \((?P<year>\d{4})\): \*(?P<title>[^*]+)\*(?P<rest>.*)")
_LINK = re.compile(r"\[[^\]]+\]\(https?://[^)]+\)")


@dataclass(frozen=True)
class Paper:
    """A paper that a notebook cites.

    Attributes:
        authors, year, title: as the notebook gives them.
        place: a Markdown link to it; where there is none, the journal, as the notebook gives it.
    """

    authors: str
    year: int
    title: str
    place: str


@dataclass(frozen=True)
class Facts:
    """What one notebook says about itself.

    Attributes:
        entry: its place in the workbook's contents.
        outcome: what a reader can do afterwards: the text behind "After this notebook you can".
        builds_on: what it asks for, in Markdown.
        minutes: time to read and try.
        exercise_minutes: what its exercises take, one by one.
        papers: what it cites.
    """

    entry: contents.Entry
    outcome: str
    builds_on: str
    minutes: int
    exercise_minutes: tuple[int, ...]
    papers: tuple[Paper, ...]

    @property
    def link(self) -> str:
        """A Markdown link to the notebook, from a page at the site's root."""
        return f"[{self.entry.name[:2]} {self.entry.title}](notebooks/{self.entry.name}.ipynb)"


def read_facts(folder: Path) -> list[Facts]:
    """Return the facts of all notebooks in a folder, in reading order.

    Raises:
        InputError: there are none, or one does not say what the site needs.
    """
    entries = {entry.name: entry for entry in contents.entries()}
    facts = []
    for path in of_the_workbook(folder):
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        facts.append(_facts_of(entries[path.stem], text))
    return facts


def contents_table(facts: Sequence[Facts]) -> str:
    """Return the table of contents in Markdown."""
    rows = ["| notebook | you learn | read and try | exercises | cells run in |", "|---|---|--:|--:|--:|"]
    for one in facts:
        rows.append(
            f"| {one.link} | {one.entry.teaches} | {one.minutes} min | {sum(one.exercise_minutes)} min "
            f"| {one.entry.seconds:.0f} s |"
        )
    return "\n".join(rows)


def menu(facts: Sequence[Facts]) -> str:
    """Return the notebooks as the menu beside a page shows them: a toctree, with their numbers."""
    lines = [f"{one.entry.name[:2]} {one.entry.title} <notebooks/{one.entry.name}>" for one in facts]
    return "\n".join(["```{toctree}", ":hidden:", "", *lines, "```"])


def outcomes(facts: Sequence[Facts]) -> str:
    """Return what students can do after each notebook, and what each builds on, as a Markdown list."""
    lines = []
    for one in facts:
        builds_on = re.sub(r"\]\((?=[^):]+\.ipynb)", "](notebooks/", one.builds_on)
        lines.append(f"- **{one.link}.** After it, students can {one.outcome} *Builds on* {builds_on}")
    return "\n".join(lines)


def bibliography(facts: Sequence[Facts]) -> str:
    """Return every paper once, by author and year, with the notebooks that cite it, as a Markdown list.

    Raises:
        InputError: two notebooks cite a paper differently.
    """
    cited: dict[str, tuple[Paper, list[Facts]]] = {}
    for one in facts:
        for paper in one.papers:
            known, where = cited.setdefault(paper.place or paper.title, (paper, []))
            if paper != known:
                raise InputError(
                    f"{paper.place} must be cited alike everywhere: {where[0].entry.name} has {known}, "
                    f"{one.entry.name} has {paper}"
                )
            where.append(one)
    lines = []
    for paper, where in sorted(cited.values(), key=lambda pair: (pair[0].authors.casefold(), pair[0].year)):
        places = ", ".join(f"[{one.entry.name[:2]}](notebooks/{one.entry.name}.ipynb)" for one in where)
        lines.append(f"- {paper.authors} ({paper.year}): *{paper.title}*. {paper.place}. In {places}.")
    return "\n".join(lines)


def commands() -> str:
    """Return the subcommands of `fedlearn`, what each does and an example, as a Markdown list."""
    lines = []
    for name, command in typer.main.get_command(cli.app).commands.items():
        if command.hidden:
            continue
        text = inspect.cleandoc(command.help or "")
        example = re.search(r"^Example: (.+)$", text, re.MULTILINE)
        summary = " ".join(text.partition("\n\n")[0].split())
        lines.append(f"- `fedlearn {name}`: {summary}")
        if example:
            lines.append(f"\n  ```\n  {example[1]}\n  ```\n")
    return "\n".join(lines)


def _facts_of(entry: contents.Entry, text: str) -> Facts:
    listed = text.partition("**References**\n")[2].partition("\n\n**")[0].strip()
    papers = []
    for line in filter(None, listed.splitlines()):
        if (found := _REFERENCE.match(line)) is None:
            raise InputError(f"a reference in {entry.name} must look like '- Authors (year): *Title*. …', got {line!r}")
        link = _LINK.search(found["rest"])
        place = link[0] if link else found["rest"].strip(". ").partition(". ")[0]
        papers.append(Paper(found["authors"], int(found["year"]), found["title"], place))
    return Facts(
        entry,
        outcome=_said(entry, text, r"\*\*After this notebook you can\*\* (.+)"),
        builds_on=_said(entry, text, r"\*\*Builds on\*\* (.+)"),
        minutes=int(_said(entry, text, r"\*\*Time\*\*: (\d+) minutes")),
        exercise_minutes=tuple(int(minutes) for minutes in re.findall(r"^\*.+ · .+ · (\d+) minutes\.\*", text, re.M)),
        papers=tuple(papers),
    )


def _said(entry: contents.Entry, text: str, pattern: str) -> str:
    if (found := re.search(pattern, text)) is None:
        raise InputError(f"{entry.name}.ipynb must have a line that matches {pattern!r}, and has none")
    return found[1].strip()

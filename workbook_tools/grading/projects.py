"""Marks projects: the counted part of the rubric, with a reason for each line. Nothing of theirs is executed."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.project.checks import check_project
from fedlearn_helpers.project.names import name_as_text
from fedlearn_helpers.project.reading import CONCLUSION, PLAN, RESULTS, Found, read_project
from fedlearn_helpers.project.rubric import COUNTED, JUDGED

_FILES = {PLAN, RESULTS, CONCLUSION}
_LEVELS = 3  # of folders below a hand-in's own, in which its project is looked for


@dataclass(frozen=True)
class Line:
    """One line of a project's rubric.

    Attributes:
        project: its path below the folder of projects, as text; "." is that folder, with projects below it.
        code: of its plan, to compare with what was handed in before the runs.
        criterion: one of the rubric's; empty if there is no project.
        points: counted ones; None where an instructor judges.
        most: the full points.
        reason: why so many; where an instructor judges, the levels.
    """

    project: str
    code: str
    criterion: str
    points: int | None
    most: int
    reason: str


def mark_all(folder: Path) -> list[Line]:
    """Return the rubric's lines of all projects in a folder, or of the one that it is.

    Each sub-folder is a hand-in, and has one line that says so if there is no project in it. A project's file that lies
    above others hides none of them.

    Raises:
        InputError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise InputError(f"submissions must be a folder of projects, got {str(folder)!r}")
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    found = {entry: _projects_in(entry) for entry in entries if entry.is_dir() and not entry.is_symlink()}
    names = {entry.name for entry in entries}
    if names & _FILES and not any(found.values()):
        return mark(name_as_text(folder.resolve().name), read_project(folder))
    lines = mark(".", read_project(folder)) if PLAN in names else []
    for entry in entries:
        for path in found.get(entry, ()):
            lines += mark(name_as_text(path.relative_to(folder).as_posix()), read_project(path))
        if entry not in found:
            lines.append(_not_marked(entry.name, "not a folder: unpack archives, and give each project one of its own"))
        elif not found[entry]:
            lines.append(_not_marked(entry.name, f"none of {PLAN}, {RESULTS} and {CONCLUSION} is in it"))
    if not lines:
        raise InputError(f"submissions must be a folder of projects, got one with nothing in it: {str(folder)!r}")
    return lines


def mark(name: str, found: Found) -> list[Line]:
    """Return the rubric's lines of a project; those that an instructor judges have no points."""
    checks = check_project(found)
    counted = [
        Line(name, found.code, one.name, one.earned(checks)[0], one.most, one.earned(checks)[1]) for one in COUNTED
    ]
    judged = [Line(name, found.code, one.name, None, one.most, _levels(one.levels)) for one in JUDGED]
    return [*counted, *judged]


def markdown_of(lines: Sequence[Line]) -> str:
    """Return the marks as a page in Markdown, a section and a table for each project."""
    parts = ["# Projects", "Points that are empty are for the instructor to fill in."]
    for name in dict.fromkeys(line.project for line in lines):
        mine = [line for line in lines if line.project == name]
        parts.append(f"## {_plain(name)}")
        if not mine[0].criterion:
            parts.append(f"Not marked: {_plain(mine[0].reason)}.")
            continue
        parts.append(f"{in_short(mine)}. Code of the plan: {mine[0].code or 'none'}.")
        rows = [
            f"| {line.criterion} | {'' if line.points is None else line.points} | {line.most} | {_plain(line.reason)} |"
            for line in mine
        ]
        parts.append("\n".join(["| criterion | points | of | why |", "|---|--:|--:|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def in_short(lines: Sequence[Line]) -> str:
    """Return the sum of one project's points in a few words."""
    counted = [line for line in lines if line.points is not None]
    points, most = sum(line.points or 0 for line in counted), sum(line.most for line in counted)
    return f"{points} of {most} points counted, {sum(line.most for line in lines) - most} to judge"


def _not_marked(name: str, reason: str) -> Line:
    return Line(name_as_text(name), "", "", None, 0, reason)


def _levels(levels: dict[int, str]) -> str:
    return "to judge: " + "; ".join(f"{points} for: {text}" for points, text in levels.items())


def _projects_in(folder: Path) -> list[Path]:
    """Return the folders with a plan, or those with another file of a project if there is no plan at all.

    They are at most three levels down; links are not followed.
    """
    planned, others = [], []
    for top, folders, files in os.walk(folder):
        if PLAN in (names := {*files, *folders}):
            planned.append(Path(top))
        elif _FILES & names:
            others.append(Path(top))
        if len(Path(top).relative_to(folder).parts) >= _LEVELS:
            folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
    return planned or others


def _plain(text: str) -> str:
    """Return a text for a cell of a table in Markdown: others have written parts of it."""
    for sign in "\\`|<>[]*_":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())

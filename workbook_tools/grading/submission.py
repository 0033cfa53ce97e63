"""A submission, put into the workbook's own notebook: answers and added cells are theirs, all else is ours.

So a check cannot be changed, a cell that was deleted is there again, and parameters are those of the workbook.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

import fedlearn_helpers
from workbook_tools.editions.graded.cells import ExerciseCells, binds, find_exercises, has_tag
from workbook_tools.execution.reading import read_notebook
from workbook_tools.grading import verdict, version_0_1
from workbook_tools.grading.recognition import checked_names, recognize

_ROOT = Path(fedlearn_helpers.__file__).parents[1]
_TITLE = re.compile(r"\A# @title .*\n")  # the editions for Colab put it above code that is folded
_WORKERS = re.compile(r"^workers\b", re.MULTILINE)


@dataclass(frozen=True)
class Merged:
    """What is executed to grade a submission.

    Attributes:
        original: the workbook's notebook.
        notebook: with the submission's answers in it.
        exercises: which exercises it has.
        missing: names of the exercises whose cell the submission lacks.
        changed: ids of our other cells that read otherwise in the submission; they are executed as they are here.
        doubt: why it might be a copy of another notebook; empty if it cannot.
    """

    original: Path
    notebook: NotebookNode
    exercises: list[ExerciseCells]
    missing: set[str]
    changed: list[str]
    doubt: str = ""


def merge(path: Path, originals: Mapping[str, Path], token: str, workers: int = 1) -> Merged:
    """Put a submission's answers into the notebook that it is a copy of.

    Args:
        path: the submission.
        originals: the workbook's notebooks by lesson.
        token: goes into the verdicts, so that nothing else is taken for one.
        workers: how many the notebook may use, if it uses any.

    Raises:
        InputError: no notebook, or not one of the workbook's.
    """
    submitted = [cell for cell in read_notebook(path).cells if cell.cell_type == "code"]
    for cell in submitted:
        cell.source = _TITLE.sub("", cell.source)
    recognized = recognize(path.name, submitted, originals)
    original = originals[recognized.lesson]
    merged = read_notebook(original)
    exercises = find_exercises(merged)
    stubs = {exercise.stub: exercise for exercise in exercises}
    checks = {exercise.check: exercise for exercise in exercises}
    places = _find_ours(submitted, merged.cells, exercises)
    theirs = {name: submitted[place].source for place, name in places.items()}
    added = _added_cells(submitted, places)
    of_version_0_1 = any(version_0_1.speaks(cell.source) for cell in submitted)
    cells = []
    changed = []
    for cell in merged.cells:
        if cell.id in stubs:
            if theirs.get(cell.id, "").strip():
                cell.source = theirs[cell.id]
            cells.append(new_code_cell(_given_code(stubs[cell.id])))
        elif cell.cell_type == "code" and theirs.get(cell.id, cell.source).strip() != cell.source.strip():
            changed.append(cell.id)
        if cell.id in checks:
            cell.source = _verdict_code(recognized.lesson, checks[cell.id], token)
        cells.append(cell)
        if of_version_0_1 and cell.cell_type == "code" and binds(cell.source, "exercises"):
            cells.append(new_code_cell(version_0_1.code()))
        cells += added[cell.id]
        if has_tag(cell, "parameters") and _WORKERS.search(cell.source):
            cells.append(new_code_cell(f"workers = {workers}"))
    merged.cells = cells
    missing = {exercise.name for exercise in exercises if exercise.stub not in theirs}
    return Merged(original, merged, exercises, missing, changed, recognized.doubt)


def _find_ours(
    submitted: Sequence[NotebookNode], original: Sequence[NotebookNode], exercises: Sequence[ExerciseCells]
) -> dict[int, str]:
    """Return which submitted cells are ours, as their place and our cell's id.

    Editors keep ids in one of two places, or make new ones. Then a cell is known by its text, a check by the name of
    its exercise, and an answer by its place before the check and by what it defines.
    """
    left = {cell.id: cell.source.strip() for cell in original if cell.cell_type == "code"}
    found: dict[int, str] = {}

    def note(place: int, name: str | None) -> None:
        if place not in found and name is not None and name in left:
            found[place] = name
            del left[name]

    for place, cell in enumerate(submitted):
        note(place, cell.get("id"))
        note(place, cell.metadata.get("id"))  # where Colab keeps it; an editor after it may have made another one
    for place, cell in enumerate(submitted):
        note(place, next((name for name, source in left.items() if source == cell.source.strip()), None))
    for place, cell in enumerate(submitted):
        names = checked_names(cell.source)
        note(place, next((exercise.check for exercise in exercises if exercise.name in names), None))
    for exercise in exercises:
        if exercise.stub in left and (end := _place_of(exercise.check, found)) is not None:
            start = max((place for place in found if place < end), default=-1) + 1
            defining = [place for place in range(start, end) if binds(submitted[place].source, exercise.answer)]
            if defining or start < end:
                note(defining[-1] if defining else start, exercise.stub)
    return found


def _place_of(name: str, found: Mapping[int, str]) -> int | None:
    return next((place for place, known in found.items() if known == name), None)


def _added_cells(submitted: Sequence[NotebookNode], places: Mapping[int, str]) -> dict[str, list[NotebookNode]]:
    """Return the cells that are not ours, by the id of our cell that they stand behind.

    What stands before our first cell prepares another place to work, such as Colab, and is left out.
    """
    added: dict[str, list[NotebookNode]] = defaultdict(list)
    behind = None
    for place, cell in enumerate(submitted):
        if place in places:
            behind = places[place]
        elif behind is not None and cell.source.strip():
            added[behind].append(new_code_cell(cell.source, metadata={"tags": ["added"]}))
    return added


def _given_code(exercise: ExerciseCells) -> str:
    """Return code that keeps what the notebook hands over to a check, before an answer can change it."""
    kept = f"_given_{exercise.name}"
    return f"try:\n    {kept} = {_as_dict(exercise)}\nexcept NameError:\n    {kept} = None"


def _as_dict(exercise: ExerciseCells) -> str:
    """Return code for a dict of what is handed over, which works where an answer has called something `dict`."""
    return f"(lambda **given: given)({exercise.given})"


def _verdict_code(lesson: str, exercise: ExerciseCells, token: str) -> str:
    code = Path(verdict.__file__).read_text(encoding="utf-8")
    facts = json.dumps([str(_ROOT), lesson, exercise.name, token])
    given = f"_given_{exercise.name}"
    return (
        f"exec({code!r}, (_fresh := {{}}))\n"
        f"{given} = {_as_dict(exercise)} if {given} is None else {given}\n"
        f"_fresh['show_verdict'](*{facts}, {exercise.answer}, **{given})"
    )


def is_answer(cell: NotebookNode) -> bool:
    """Return whether a learner wrote a cell: an answer or an addition."""
    return has_tag(cell, "exercise") or has_tag(cell, "added")

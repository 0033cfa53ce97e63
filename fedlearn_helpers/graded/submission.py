"""A submission, put into the workbook's own notebook: answers and added cells are theirs, all else is ours.

So a check cannot be changed, a cell that was deleted is there again, and parameters are those of the workbook.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

import fedlearn_helpers
from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.graded.cells import ExerciseCells, checked_exercise, exercises_module, find_exercises, has_tag

_ROOT = Path(fedlearn_helpers.__file__).parents[1]


@dataclass(frozen=True)
class Merged:
    """What is executed to grade a submission.

    Attributes:
        original: the workbook's notebook.
        notebook: with the submission's answers in it.
        exercises: which exercises it has.
        missing: names of the exercises whose cell the submission lacks.
    """

    original: Path
    notebook: NotebookNode
    exercises: list[ExerciseCells]
    missing: set[str]


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook, whatever somebody handed in.

    Raises:
        InputError: it is none.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # not JSON, no notebook, a notebook of the future …
        raise InputError(f"{path.name} must be a Jupyter notebook, got {one_line(error)[:200]}") from None
    return notebook


def merge(path: Path, originals: dict[str, Path], token: str) -> Merged:
    """Put a submission's answers into the notebook that it is a copy of.

    Args:
        path: the submission.
        originals: the workbook's notebooks by the name of their exercises' module.
        token: goes into the verdicts, so that nothing else is taken for one.

    Raises:
        InputError: no notebook, or not one of the workbook's.
    """
    submitted = read_notebook(path)
    module = exercises_module(submitted.cells)
    if module not in originals:
        raise InputError(f"{path.name} must be one of the workbook's notebooks, with the cell that imports exercises")
    original = originals[module]
    merged = read_notebook(original)
    exercises = find_exercises(merged)
    answers = {exercise.stub: _answer(submitted, exercise) for exercise in exercises}
    checks = {exercise.check: exercise for exercise in exercises}
    stubs = {exercise.stub: exercise for exercise in exercises}
    added = _added_cells(submitted, merged)
    cells = []
    for cell in merged.cells:
        if cell.id in answers:
            cell.source = answers[cell.id] or cell.source
            cells.append(new_code_cell(_given_code(stubs[cell.id])))
        elif cell.id in checks:
            cell.source = _verdict_code(module, checks[cell.id], token)
        cells += [cell, *added[cell.id]]
    merged.cells = cells
    missing = {exercise.name for exercise in exercises if answers[exercise.stub] is None}
    return Merged(original, merged, exercises, missing)


def _answer(submitted: NotebookNode, exercise: ExerciseCells) -> str | None:
    """Return the code of an answer: of the cell with its id, or, where ids were lost, of the cell before its check."""
    code = [cell for cell in submitted.cells if cell.cell_type == "code"]
    for cell in code:
        if cell.get("id") == exercise.stub:
            return cell.source
    for before, cell in zip(code, code[1:], strict=False):
        if (call := checked_exercise(cell.source)) and call[0] == exercise.name:
            return before.source
    return None


def _added_cells(submitted: NotebookNode, original: NotebookNode) -> dict[str, list[NotebookNode]]:
    """Return the code cells that are not ours, by the id of our cell that they stand behind.

    What stands before our first cell of code prepares another place to work, such as Colab, and is left out.
    """
    ours = {cell.id: cell for cell in original.cells}
    added: dict[str, list[NotebookNode]] = defaultdict(list)
    behind = None
    for cell in submitted.cells:
        if cell.get("id") in ours:
            if ours[cell.id].cell_type == "code" or behind:
                behind = cell.id
        elif behind and cell.cell_type == "code" and cell.source.strip():
            added[behind].append(new_code_cell(cell.source, metadata={"tags": ["added"]}))
    return added


def _given_code(exercise: ExerciseCells) -> str:
    """Return code that keeps what the notebook hands over to a check, before an answer can change it."""
    kept = f"_given_{exercise.name}"
    return f"try:\n    {kept} = dict({exercise.given})\nexcept NameError:\n    {kept} = None"


def _verdict_code(module: str, exercise: ExerciseCells, token: str) -> str:
    code = (_ROOT / "fedlearn_helpers" / "graded" / "verdict.py").read_text(encoding="utf-8")
    facts = json.dumps([str(_ROOT), module, exercise.name, token])
    given = f"_given_{exercise.name}"
    return (
        f"exec({code!r}, (_fresh := {{}}))\n"
        f"{given} = dict({exercise.given}) if {given} is None else {given}\n"
        f"_fresh['show_verdict'](*{facts}, {exercise.answer}, **{given})"
    )


def is_answer(cell: NotebookNode) -> bool:
    """Return whether a learner wrote a cell: an answer or an addition."""
    return has_tag(cell, "exercise") or has_tag(cell, "added")

"""Which of the workbook's notebooks a submission is a copy of."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from fedlearn_helpers.errors import InputError
from workbook_tools.editions.graded.cells import find_exercises
from workbook_tools.execution.reading import read_notebook

_CHECK = re.compile(r"\b(\w+)\s*\.\s*check\s*\(")


@dataclass(frozen=True)
class Recognized:
    """What a submission was taken for.

    Attributes:
        lesson: whose notebook it is.
        doubt: a sentence for the teacher where it might be another's; empty if there is no doubt.
    """

    lesson: str
    doubt: str


def recognize(name: str, cells: Sequence[NotebookNode], originals: Mapping[str, Path]) -> Recognized:
    """Tell a notebook by its cells' ids, else by the exercises that it checks, else by its name.

    What is most of one notebook is taken for it, where all is equal for the first.

    Args:
        name: of the submission's file.
        cells: the submission's code.
        originals: the workbook's notebooks by lesson.

    Raises:
        InputError: nothing tells which it is.
    """
    ids = {str(name) for cell in cells for name in (cell.get("id"), cell.metadata.get("id"))}
    signs = (
        _count(ids, {lesson: _ids_of(path) for lesson, path in originals.items()}),
        _count(
            (checked for cell in cells for checked in checked_names(cell.source)),
            {lesson: _exercises_of(path) for lesson, path in originals.items()},
        ),
    )
    for counts in signs:
        if counts:
            lesson = max(counts, key=counts.__getitem__)
            others = sorted({originals[other].name for found in signs for other in found if other != lesson})
            also = f"taken for {originals[lesson].name}, though it has cells of {', '.join(others)}" if others else ""
            return Recognized(lesson, also)
    if named := _named_by(name, originals):
        return Recognized(named[0], f"taken for {originals[named[0]].name} by its file's name alone")
    raise InputError(
        f"{name} must be one of the workbook's notebooks, got no cell and no check of an exercise that says which, "
        "and no number in its name"
    )


def checked_names(source: str) -> list[str]:
    """Return the names of what code checks, also of code that is no Python, or calls the module otherwise."""
    return _CHECK.findall(source)


def _count(found: Iterable[str], of_lessons: Mapping[str, set[str]]) -> dict[str, int]:
    """Return how many names were found that only one lesson has, for those that have any, in their order."""
    seen = set(found)
    counts = {}
    for lesson, names in of_lessons.items():
        others = set().union(*(of for other, of in of_lessons.items() if other != lesson))
        if own := len(seen & (names - others)):
            counts[lesson] = own
    return counts


def _ids_of(path: Path) -> set[str]:
    return {cell.id for cell in read_notebook(path).cells if cell.cell_type == "code"}


def _exercises_of(path: Path) -> set[str]:
    return {exercise.name for exercise in find_exercises(read_notebook(path))}


def _named_by(name: str, originals: Mapping[str, Path]) -> list[str]:
    """Return the lessons that a file's name may mean: those it names in full, else those whose number it has."""
    plain = re.sub(r"[\W_]+", "_", name.lower())
    in_full = [lesson for lesson in originals if lesson in plain]
    return in_full or [
        lesson for lesson, path in originals.items() if re.search(rf"(?<!\d){path.name[:2]}(?!\d)", plain)
    ]

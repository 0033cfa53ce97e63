"""A bare edition of the notebooks for lecturers, who say themselves what the text explains.

Code and exercises are all there, and the questions to the class: "What do you see?", those to discuss, and the recall
questions. The text that explains is left out. Cells that answer stay folded, and answer when they are run.
"""

import re
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from fedlearn_helpers.files import write_whole
from workbook_tools.editions.graded.cells import has_tag, read_unused
from workbook_tools.execution.notebooks import GLOSSARY

_HEADING = re.compile(r"^(#+) .+$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_EXERCISE = re.compile(r"^#+ Exercise \d", re.MULTILINE)
_FOLD = re.compile(r"<details>.*?</details>", re.DOTALL)
_QUESTION = re.compile(r"^\*{0,2}What do you see\?.*$", re.MULTILINE | re.IGNORECASE)
_AS_THEY_ARE = ("discuss", "recall")


def write_bare(notebook: Path, folder: Path) -> Path:
    """Write a notebook's bare edition into `folder` (made if missing), and the glossary beside it; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / notebook.name, nbformat.writes(bare(notebook)) + "\n")
    if (glossary := notebook.with_name(GLOSSARY)).is_file():
        shutil.copy(glossary, folder)
    return folder / notebook.name


def bare(path: Path) -> NotebookNode:
    """Return a notebook without the text that explains; cells keep their ids."""
    notebook = read_unused(path)
    kept = []
    in_exercise = False
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            in_exercise = bool(_EXERCISE.search(cell.source)) or (in_exercise and not _HEADING.search(cell.source))
            if place and not in_exercise and not any(has_tag(cell, tag) for tag in _AS_THEY_ARE):
                cell.source = _what_stays(cell.source)
            elif has_tag(cell, "discuss"):  # what may come up is the lecturer's
                cell.source = _FOLD.sub("", cell.source).strip()
        if has_tag(cell, "check"):
            in_exercise = False
        if cell.source.strip():
            kept.append(cell)
    notebook.cells = _without_empty_sections(kept)
    return notebook


def _what_stays(text: str) -> str:
    """Return headings and questions of a text, in their order."""
    text = _FENCED.sub("", _FOLD.sub("", text))
    found = [*_HEADING.finditer(text), *_QUESTION.finditer(text)]
    return "\n\n".join(one[0] for one in sorted(found, key=lambda one: one.start()))


def _without_empty_sections(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Leave out headings below which nothing is left but headings of lower level."""
    kept: list[NotebookNode] = []
    below = 0  # the level of the heading that comes next, 0 where something else comes next; 1 at the end
    for place, cell in reversed(list(enumerate(cells))):
        heading = _HEADING.fullmatch(cell.source) if cell.cell_type == "markdown" else None
        level = len(heading[1]) if heading else 0
        if place and heading and (not kept or 0 < below <= level):
            continue
        kept.append(cell)
        below = level
    return kept[::-1]

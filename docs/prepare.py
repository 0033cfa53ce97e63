"""Makes pages for the site of notebooks and of Markdown that are also read elsewhere.

What only works in a running notebook becomes a sentence that says so; files that are not on the site are only named.
"""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from workbook_tools.execution.rendering import replace_widgets

_PICTURE = re.compile(r"(!\[[^\]]*\]\()(?!https?:)([^)]+)\)")
_FILE = re.compile(r"(?<!!)\[([^\]]+)\]\(<?\.\./(?!notebooks/(?!pair/))[^)]+\)")


def as_on_the_site(text: str) -> tuple[str, list[str]]:
    """Return a page of docs/ as the site shows it, and the pictures in it, as paths from docs/.

    Pictures are expected in the folder `pictures`, and notebooks beside the pages. A link to another file of the
    project becomes its text: the site does not have it.
    """
    pictures = [path for _, path in _PICTURE.findall(text)]
    text = _PICTURE.sub(lambda found: f"{found[1]}pictures/{Path(found[2]).name})", text)
    return _FILE.sub(r"\1", text).replace("../notebooks/", "notebooks/"), pictures


def prepare(source: Path, page: Path, top: str = "") -> None:
    """Write a notebook as the site shows it.

    Args:
        source: a notebook, executed or not.
        page: where to write it.
        top: HTML to show below its title.
    """
    notebook = nbformat.read(source, as_version=4)
    if top:
        title, _, others = notebook.cells[0].source.partition("\n")
        notebook.cells[0].source = f"{title}\n\n{top}\n\n{others.strip()}"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace("](../docs/", "](../")  # pages are beside the folder of notebooks
    replace_widgets(notebook)
    notebook.cells = [cell for cell in notebook.cells if not _says_only_where_results_go(cell)]
    nbformat.write(notebook, page)


def _says_only_where_results_go(cell: NotebookNode) -> bool:
    """Whether `fedlearn run` put in this cell, and it holds none of the reader's parameters."""
    lines = [line for line in cell.source.splitlines() if line and not line.startswith("#")]
    injected = "injected-parameters" in cell.metadata.get("tags", [])
    return injected and all(line.startswith("output_dir =") for line in lines)

"""Builds an edition: a notebook, the package's modules that it needs, and a cell that installs what is missing.

Links to other notebooks and to pages become plain text, since a single file has none beside it; the glossary's entries
for the terms that it links to stand at its end. (Colab follows links to places in a notebook by its own cell numbers
only.)
"""

import inspect
import re
from pathlib import Path
from pprint import pformat

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from fedlearn_helpers.files import write_whole
from workbook_tools.editions.colab import requirements, setup_cell
from workbook_tools.editions.colab.modules import FOLDER, PACKAGE, files_behind
from workbook_tools.editions.graded.cells import has_tag, read_unused
from workbook_tools.execution.notebooks import GLOSSARY

_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)(\w+\.ipynb|\.\./docs/\w+\.md)?(?:#[^)]*)?\)")
_SETUP = """## Setup

The next cell installs what is missing here, and the cells behind it write the workbook's helper modules into the
folder `{package}`. Run them once, or choose *Run all*. There is nothing in them that you have to read."""
_MODULES = """### Helper modules

The package behind the workbook, as far as this notebook uses it. What matters is explained below, in the open."""
_PARAMETERS = "## Parameters"
_TERMS = "## Terms\n\nFrom the workbook's glossary."


def write_edition(notebook: Path, folder: Path) -> Path:
    """Write a notebook's edition into `folder` (made if missing), completely or not at all, and return its path."""
    text = nbformat.writes(build_edition(notebook)) + "\n"
    edition = folder / notebook.name
    write_whole(edition, text)
    return edition


def build_edition(notebook: Path) -> NotebookNode:
    """Return a notebook's edition; the same sources give the same edition.

    Args:
        notebook: beside the glossary that it links to.
    """
    edition = read_unused(notebook)
    start = next(place for place, cell in enumerate(edition.cells) if has_tag(cell, "parameters"))
    opening, others = edition.cells[:start], edition.cells[start:]
    code = [cell for cell in edition.cells if cell.cell_type == "code"]
    files = files_behind([cell.source for cell in code])
    modules_heading = _heading(_MODULES, "colab-modules")
    modules_heading.metadata |= {"jp-MarkdownHeadingCollapsed": True, "id": modules_heading.id}
    edition.cells = [
        *opening,
        _heading(_SETUP.format(package=PACKAGE), "colab-setup-text"),
        _setup_cell(list(files)),
        modules_heading,
        *(_file_cell(path, text) for path, text in files.items()),
        _heading(_PARAMETERS, "colab-parameters"),
        *others,
    ]
    if terms := _terms_of(edition, notebook.with_name(GLOSSARY)):
        edition.cells.append(_heading("\n\n".join([_TERMS, *terms]), "colab-terms"))
    for cell in edition.cells:
        if cell.cell_type == "markdown":
            cell.source = _LINK.sub(r"\1", cell.source)
        elif has_tag(cell, "hide-input"):
            cell.source = f"# @title {_title_of(cell)}\n{cell.source}"
            cell.metadata["cellView"] = "form"
    edition.metadata["colab"] = {
        "provenance": [],
        "toc_visible": True,
        "collapsed_sections": [modules_heading.id],
    }
    nbformat.validate(edition)
    return edition


def _heading(text: str, name: str) -> NotebookNode:
    return new_markdown_cell(text, id=name)


def _hidden(source: str, name: str) -> NotebookNode:
    """Return a code cell of which Colab and JupyterLab show the title, or nothing, until one asks for the code."""
    return new_code_cell(source, id=name, metadata={"cellView": "form", "jupyter": {"source_hidden": True}})


def _title_of(cell: NotebookNode) -> str:
    """Return what Colab shows in place of a cell's code: the comment that the code begins with, if it does."""
    first = cell.source.partition("\n")[0]
    if first.startswith("# "):
        return first.removeprefix("# ").rstrip(".")
    return "Answer" if has_tag(cell, "answer") else "Code"


def _setup_cell(files: list[Path]) -> NotebookNode:
    folders = sorted({_name_of(path.parent) for path in files})
    parts = {path.relative_to(FOLDER).parts[0] for path in files}
    facts = (requirements.with_dependencies(parts), requirements.alone(), PACKAGE, folders)
    call = ",\n".join(pformat(fact, width=100, sort_dicts=False) for fact in facts)
    source = inspect.getsource(setup_cell).rstrip()
    return _hidden(f"# @title Setup: run this cell first\n{source}\n\n\nset_up(\n{call},\n)", "colab-setup")


BINARY = (".gz", ".npz")


def _file_cell(path: Path, text: str) -> NotebookNode:
    """Return a cell that writes one file of the package."""
    name = _name_of(path)
    if path.suffix == ".py":  # a magic must be the first line; Colab takes a title from the second line, too
        source = f"%%writefile {name}\n# @title {name}\n{text.rstrip()}"
    elif path.suffix in BINARY:
        source = (
            f'# @title {name}\nimport base64\nimport pathlib\n\npathlib.Path("{name}").write_bytes(\n'
            f'    base64.b64decode("""\n{text}""")\n)'
        )
    else:
        lines = "\n".join(f"    {line!r}" for line in text.splitlines(keepends=True))
        source = (
            f'# @title {name}\nimport pathlib\n\npathlib.Path("{name}").write_text(\n{lines},\n    encoding="utf-8",\n)'
        )
    return _hidden(source, "colab-" + re.sub(r"[^a-z0-9]+", "-", name.removeprefix(PACKAGE).lower()).strip("-"))


def _name_of(path: Path) -> str:
    return path.relative_to(FOLDER.parent).as_posix()


def _terms_of(notebook: NotebookNode, glossary: Path) -> list[str]:
    """Return the glossary's entries that a notebook links to, in the glossary's order."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    linked = {text for source in texts for text, target in _LINK.findall(source) if target == glossary.name}
    if not linked:
        return []
    entries = [cell.source for cell in nbformat.read(glossary, as_version=4).cells]
    return [entry for entry in entries if entry.splitlines()[0].removeprefix("### ") in linked]

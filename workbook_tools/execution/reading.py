"""Reads notebook files, whatever editors, mail programs and people have done to them."""

import json
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from fedlearn_helpers.errors import InputError, one_line

_NO_TEXT = "\ufeff\u200b\u2060\0 \t\r\n"  # marks that may stand before a file's text or behind it


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook file, as `parse_notebook` does.

    Raises:
        InputError: it is no notebook.
    """
    return parse_notebook(path.read_bytes(), path.name)


def parse_notebook(content: bytes, name: str) -> NotebookNode:
    r"""Return a notebook of format 4, with `\n` as its cells' line ends; what breaks the format's rules may stay.

    Args:
        content: in an encoding of Unicode, with its mark or without, or in that of Western Europe.
        name: of the file, for the error.

    Raises:
        InputError: it is no notebook.
    """
    try:
        notebook = nbformat.convert(nbformat.reader.reads(_text(content)), 4)
        for cell in notebook.cells:
            cell.setdefault("metadata", NotebookNode())
            if not (isinstance(cell.cell_type, str) and isinstance(cell.source, str)):
                raise TypeError("a cell without text")
            cell.source = cell.source.replace("\r\n", "\n").replace("\r", "\n")
    except Exception as error:  # not JSON, no notebook, a notebook of the future …
        raise InputError(f"{name} must be a Jupyter notebook, got {one_line(error)[:200]}") from None
    return notebook


def _text(content: bytes) -> str:
    try:
        text = content.decode(json.detect_encoding(content))
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    return text.strip(_NO_TEXT)

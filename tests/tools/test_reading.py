"""Notebook files are read whatever was done to their encoding."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from fedlearn_helpers.errors import InputError
from workbook_tools.execution.reading import parse_notebook

SOURCE = "größe = 'é'\nprint(größe)"
TEXT = json.dumps(new_notebook(cells=[new_code_cell(SOURCE, id="one")]), ensure_ascii=False)


def sources(content):
    return [cell.source for cell in parse_notebook(content, "one.ipynb").cells]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"]
)
def test_any_encoding_is_read(encoding):
    assert sources(TEXT.encode(encoding)) == [SOURCE]


@pytest.mark.parametrize("before", ["\ufeff", "\ufeff\ufeff", "\r\n\r\n", "\u200b", " \t"])
@pytest.mark.parametrize("behind", ["", "\n\n", "\0\0"])
def test_marks_before_and_behind_the_text_do_not_matter(before, behind):
    assert sources(f"{before}{TEXT}{behind}".encode()) == [SOURCE]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_line_ends_are_one_kind(end):
    notebook = new_notebook(cells=[new_code_cell(SOURCE.replace("\n", end))])
    assert sources(nbformat.writes(notebook).replace("\n", end).encode()) == [SOURCE]


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b"\0\0", b"[" * 100_000, b"<html></html>", b"\x89PNG"])
def test_what_is_no_notebook_is_one_sentence(content):
    with pytest.raises(InputError, match=r"^one\.ipynb must be a Jupyter notebook, got [^\n]*$"):
        parse_notebook(content, "one.ipynb")

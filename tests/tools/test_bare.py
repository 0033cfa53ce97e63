"""`fedlearn bare`: what stays, what goes, and that the code is the notebook's."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell
from quick import code, quick_notebook
from typer.testing import CliRunner

from workbook_tools.cli import app
from workbook_tools.editions.bare import bare

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9]*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_headings_code_exercises_and_questions_stay_and_the_rest_goes(workbook):
    notebook = quick_notebook()
    notebook.cells[1:1] = [new_markdown_cell("Why **this** matters.", id="opening")]
    notebook.cells[4:4] = [
        new_markdown_cell(
            "## 1. A section\n\nA long text.\n\n```\n# no heading\n```\n\n### Part\n\n"
            "**What do you see?** Look at the end.\n\n<details><summary>Answer</summary>\n\nThis.\n\n</details>",
            id="section",
        ),
        code("said", "print('In this run: 1')", "answer", "hide-input"),
        new_markdown_cell(
            "**Discuss in pairs** (3 minutes). Why?"
            "\n\n<details><summary>What may come up</summary>\n\nThis.\n\n</details>",
            id="talk",
            metadata={"tags": ["discuss"]},
        ),
        new_markdown_cell("## 2. Words alone\n\nText.", id="words"),
        new_markdown_cell("### Deeper\n\nText.", id="deeper"),
        new_markdown_cell("## 3. Exercises\n\nHow to.", id="exercises"),
    ]
    notebook.cells.insert(-1, new_markdown_cell("More about this exercise.", id="after-check"))
    notebook.cells.append(new_markdown_cell("## The end\n\nNext: nothing.", id="end"))
    place = [cell.id for cell in notebook.cells].index("two_records-answer")
    notebook.cells.insert(place, new_markdown_cell("Of this exercise.", id="more-text"))
    nbformat.write(notebook, workbook / "notebooks" / "00_start_here.ipynb")
    result = CliRunner().invoke(app, ["bare"])
    assert result.exit_code == 0, result.output
    cells = {cell.id: cell for cell in nbformat.read("build/bare/00_start_here.ipynb", as_version=4).cells}
    left_out = {"opening", "words", "deeper", "after-check", "end"}
    assert list(cells) == [cell.id for cell in notebook.cells if cell.id not in left_out]
    assert cells["section"].source == "## 1. A section\n\n### Part\n\n**What do you see?** Look at the end."
    assert cells["exercises"].source == "## 3. Exercises"
    assert cells["talk"].source == "**Discuss in pairs** (3 minutes). Why?", "what may come up is the lecturer's"
    kept = ("title", "two_records-text", "more-text", "two_records-answer", "two_records-check", "parameters")
    assert [cells[name].source for name in kept] == [
        cell.source for name in kept for cell in notebook.cells if cell.id == name
    ]


@every_notebook
def test_all_code_is_there(path):
    notebook = nbformat.read(path, as_version=4)
    kept = [(cell.id, cell.source, cell.metadata) for cell in bare(path).cells if cell.cell_type == "code"]
    assert kept == [(cell.id, cell.source, cell.metadata) for cell in notebook.cells if cell.cell_type == "code"]


@every_notebook
def test_its_text_is_a_small_part_of_the_notebooks(path):
    whole, edition = (
        sum(len(cell.source) for cell in cells if cell.cell_type == "markdown" and "Exercise" not in cell.source)
        for cells in (nbformat.read(path, as_version=4).cells, bare(path).cells)
    )
    assert edition < whole / 2

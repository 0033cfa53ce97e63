"""Copies and drafts among the notebooks: every command leaves them out and says so."""

import nbformat
import pytest
from quick import quick_notebook
from typer.testing import CliRunner

from workbook_tools.cli import app
from workbook_tools.execution import sweeps
from workbook_tools.execution.notebooks import choose, left_out, of_the_workbook
from workbook_tools.grading import grade as grading

COPIES = ["00_start_here (1)", "00_start_here-Copy1", "01_my_homework", "03", "Untitled", "Untitled1"]
SAID = "Left out, as the workbook's contents do not name them: " + ", ".join(f"{name}.ipynb" for name in COPIES)


@pytest.fixture
def messy(workbook):
    """Put copies beside the notebook: one of them answered, one empty, one cut short, one a folder."""
    folder = workbook / "notebooks"
    answered = quick_notebook()
    next(cell for cell in answered.cells if cell.id == "two_records-answer").source = 'prediction = "B"'
    nbformat.write(answered, folder / "00_start_here-Copy1.ipynb")
    (folder / "00_start_here (1).ipynb").write_text(nbformat.writes(answered)[:100])
    for name in COPIES[2:-1]:
        (folder / f"{name}.ipynb").write_text("")
    (folder / "Untitled1.ipynb").mkdir()
    nbformat.write(quick_notebook(), folder / "glossary.ipynb")
    return folder


def test_the_workbooks_notebooks_are_those_that_the_contents_name(messy):
    assert of_the_workbook(messy) == [messy / "00_start_here.ipynb"]
    assert choose(messy, ["0"]) == [messy / "00_start_here.ipynb"]
    assert left_out(messy) == [f"{name}.ipynb" for name in COPIES]


def test_the_order_is_that_of_the_contents(tmp_path):
    for name in ("02_federated_averaging", "00_start_here", "05_strategies"):
        (tmp_path / f"{name}.ipynb").write_text("")
    assert [path.name[:2] for path in of_the_workbook(tmp_path)] == ["00", "02", "05"]
    assert [path.name[:2] for path in choose(tmp_path, ["05", "0"])] == ["05", "00"]


@pytest.mark.parametrize(
    "arguments",
    [["sweep", "00"], ["student"], ["colab"], ["colab", "00"], ["bare"], ["grade", "submissions"]],
    ids=" ".join,
)
def test_every_command_says_what_it_leaves_out(messy, monkeypatch, arguments):
    (messy.parent / "submissions").mkdir()
    nbformat.write(quick_notebook(), messy.parent / "submissions" / "one.ipynb")
    monkeypatch.setattr(sweeps, "perform", lambda plan, *_: [sweeps.Finished("failed", {}, messy.parent)] * 3)
    monkeypatch.setattr("workbook_tools.commands.sweep._failures", lambda *_: "")
    monkeypatch.setattr(grading, "grade_all", lambda *_, **__: [grading.Grade("one.ipynb", "00.1", "x", "wrong", "")])
    result = CliRunner().invoke(app, [*arguments, "--output", "out"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert SAID in result.output
    made = {path.name for path in (messy.parent / "out").rglob("*.ipynb")}
    assert made <= {"00_start_here.ipynb", "glossary.ipynb"}


def test_where_there_is_no_copy_nothing_is_said(workbook):
    result = CliRunner().invoke(app, ["colab", "--output", "out"])
    assert result.exit_code == 0 and "Left out" not in result.output

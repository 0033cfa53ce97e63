"""The `fedlearn` command, on two notebooks of three cells."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from typer.testing import CliRunner

from fedlearn_helpers import contents
from fedlearn_helpers.cli import app

PARAMETERS = 'number: int = 1  # any number\noutput_dir: str = "out"  # folder'
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
RESULTS = """
import json, pathlib
pathlib.Path(output_dir).mkdir(parents=True, exist_ok=True)
pathlib.Path(output_dir, "results.json").write_text(json.dumps({"metrics": {"doubled": number * 2, "curve": [1]}}))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("00_first", "01_second"):
        cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell("assert number < 10")]
        notebook = new_notebook(cells=[*cells, new_code_cell(RESULTS)], metadata=KERNEL)
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, ["run", *arguments])


def test_runs_all_notebooks_and_writes_an_index(folder):
    result = run("-p", "number=4")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("00_first") and lines[0].endswith("ok")
    assert lines[1].startswith("01_second")
    index = (folder / "build" / "index.html").read_text()
    assert "doubled: 8" in index and "curve" not in index
    assert 'href="00_first.html"' in index and (folder / "build" / "00_first.html").exists()


def test_runs_the_chosen_one_only(folder):
    result = run("1")
    assert result.exit_code == 0
    assert (folder / "build" / "01_second.ipynb").exists() and not (folder / "build" / "00_first.ipynb").exists()


def test_a_failing_notebook_is_reported_and_the_rest_goes_on(folder):
    (folder / "build" / "results" / "00_first").mkdir(parents=True)
    old = folder / "build" / "results" / "00_first" / "results.json"
    old.write_text(json.dumps({"metrics": {"stale": 1}}))
    result = run("-p", "number=11")
    assert result.exit_code == 1
    assert result.output.count("FAILED") == 2
    index = (folder / "build" / "index.html").read_text()
    assert "AssertionError" in index and "stale" not in index


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-p", "nubmer=1"), "parameter must be one of number, output_dir, got 'nubmer'"),
        (("-p", "number"), "a parameter must look like name=value, got 'number'"),
        (("07",), "notebooks must be among 00, 01, got 07"),
        (("--folder", "nowhere"), "folder must hold the notebooks, got 'nowhere' with none"),
    ],
)
def test_mistakes_end_with_one_sentence_before_anything_runs(folder, arguments, sentence):
    result = run(*arguments)
    assert result.exit_code == 1
    assert sentence in result.output and len(result.output.splitlines()) == 1
    assert not (folder / "build").exists()


def test_measured_times_are_stored_on_request(folder, monkeypatch, tmp_path):
    file = tmp_path / "contents.json"
    entry = {"name": "00_first", "title": "First", "teaches": "nothing", "seconds": 999.0}
    file.write_text(json.dumps([entry]))
    monkeypatch.setattr(contents, "_FILE", file)
    assert run("00").exit_code == 0
    assert contents.entries()[0].seconds == 999.0
    assert run("00", "--save-times").exit_code == 0
    assert 0 < contents.entries()[0].seconds < 900


def test_minutes_are_rounded_up():
    assert [contents.Entry("n", "t", "x", seconds).minutes for seconds in (5, 60, 61, 119)] == [1, 1, 2, 2]


def test_the_map_links_the_other_notebooks_and_marks_this_one():
    table = contents.as_markdown(current="01_centralized_cnn")
    assert "[00 Start here](00_start_here.ipynb)" in table
    assert "(you are here)" in table and "(01_centralized_cnn.ipynb)" not in table

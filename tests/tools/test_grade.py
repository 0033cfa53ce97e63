"""`fedlearn grade` on submissions as they come: right, wrong, empty, endless, crashing, curious, and no notebook."""

import importlib
import json
import re
import time
import zipfile
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import pytest
from quick import code, quick_notebook
from typer.testing import CliRunner

from workbook_tools.cli import app
from workbook_tools.grading import grade as grading
from workbook_tools.grading import isolation
from workbook_tools.grading.judgement import Execution

pytestmark = pytest.mark.slow

RIGHT = {
    "two_records": 'prediction = "B"\ndict = {}',
    "average": "import numpy as np\ndef server_average(returned, examples):\n    return weigh(returned, examples)",
    "best_local_steps": "best_steps = 7",
}
TRIED = "best_steps = 7\nerror_after('a trial that fails')"
OWN_CELL = "def weigh(returned, examples):\n    return np.average(returned, axis=0, weights=examples)"
CHEAT = """
from fedlearn_helpers.lessons.common import exercise
exercise.Exercise.check = lambda self, answer, **given: exercise.Verdict("correct", "!")
exercises.two_records.test = lambda answer, **given: "!"
prediction = "A"
"""
ENDLESS = """
import subprocess, time
while True:
    print("for ever")
    subprocess.Popen(["sleep", "4321"], start_new_session=True)
    time.sleep(0.05)
"""
LEFT_BEHIND = "\nimport subprocess\nsubprocess.Popen(['sleep', '4321'], start_new_session=True)"
CURIOUS = """
import socket
for host in ("192.0.2.1", "example.invalid"):
    try:
        socket.create_connection((host, 80), timeout=2)
    except OSError:
        pass
best_steps = 7
"""
LIMIT = 30
ROOT = Path(__file__).parents[2]
SMALL = {"02": {"num_clients": 6, "max_images": 600, "num_rounds": 2, "batch_size": 100, "patience": 1}}


def hand_in(folder, student, answers, added=None, drop=()):
    notebook = quick_notebook()
    for cell in notebook.cells:
        name = cell.id.removesuffix("-answer")
        if cell.id.endswith("-answer") and name in answers:
            cell.source = answers[name]
    notebook.cells = [cell for cell in notebook.cells if cell.id not in drop]
    if added:
        notebook.cells.insert(4, code("own", added))
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook, folder / f"{student}.ipynb")


@pytest.fixture
def submissions(workbook):
    folder = workbook / "submissions"
    hand_in(folder, "right", RIGHT | {"best_local_steps": TRIED}, added=OWN_CELL)
    wrong = {
        "two_records": CHEAT,
        "average": "from fedlearn_helpers.lessons.start_here.exercises import server_average",
    }
    hand_in(folder, "wrong", wrong | {"best_local_steps": "best_steps = 6\nerror_after = lambda steps: steps != 6"})
    hand_in(folder, "empty", {}, drop=("average-answer", "average-check"))
    hand_in(folder, "endless", {"two_records": 'prediction = "B"', "average": ENDLESS})
    hand_in(folder, "crash", {"two_records": "1 / 0", "average": "import os\nos._exit(3)"})
    hand_in(folder, "curious", RIGHT | {"best_local_steps": CURIOUS}, added=OWN_CELL)
    (folder / "notes.ipynb").write_text("these are notes")
    return folder


def sleepers():
    return [process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"] == ["sleep", "4321"]]


def test_every_submission_is_reported_rightly_and_in_time(submissions):
    start = time.monotonic()
    result = CliRunner().invoke(app, ["grade", str(submissions), "--time-limit", str(LIMIT), "--output", "out"])
    assert result.exit_code == 0, result.output
    assert time.monotonic() - start < 4 * LIMIT  # 7 submissions, 2 or more side by side
    assert sleepers() == []

    table = pd.read_csv("out/grades.csv", dtype=str, keep_default_na=False)
    found = {(row.submission.removesuffix(".ipynb"), row.exercise): row for row in table.itertuples()}
    statuses = {key: row.status for key, row in found.items()}
    every = ("00.1", "00.2", "00.3")
    assert [statuses["right", exercise] for exercise in every] == ["correct"] * 3
    assert [statuses["wrong", exercise] for exercise in every] == ["wrong"] * 3
    assert [statuses["empty", exercise] for exercise in every] == ["not attempted"] * 3
    assert [statuses["endless", exercise] for exercise in every] == ["correct", "timed out", "timed out"]
    assert [statuses["crash", exercise] for exercise in every] == ["crashed"] * 3
    assert [statuses["curious", exercise] for exercise in every] == ["correct", "correct", "used the network"]
    assert statuses["notes", ""] == "unreadable"

    assert found["wrong", "00.1"].message.startswith("Only if the gradient came from one record")
    assert "must be your own" in found["wrong", "00.2"].message
    assert "cell of this exercise is missing" in found["empty", "00.2"].message
    assert f"the time of {LIMIT} s was up in exercise 00.2" in found["endless", "00.3"].message
    assert found["crash", "00.1"].message == "ZeroDivisionError: division by zero"
    assert "the kernel died in exercise 00.2" in found["crash", "00.3"].message
    assert found["curious", "00.3"].message == "asked for 192.0.2.1:80, example.invalid"
    expected = isolation.NAMESPACE if isolation.grants_namespaces() else isolation.GUARD
    assert found["right", "00.1"].isolation == expected and expected in result.output

    page = (submissions.parent / "out" / "grades.html").read_text()
    assert "used the network" in page and "Only if the gradient came from one record" in page
    assert "<h2>Notebook 00</h2>" in page and "notes.ipynb must be a Jupyter notebook" in page
    assert "exercise 00.3 raised TypeError" in found["right", "00.1"].remarks
    for name, executed_cells in (("right", 8), ("endless", 4)):  # what was ended, too, as far as it had come
        ran = nbformat.read(f"out/executed/{name}.ipynb", as_version=4)
        assert sum(cell.get("execution_count") is not None for cell in ran.cells) >= executed_cells

    overview = pd.read_csv("out/overview.csv", dtype=str, keep_default_na=False).set_index("submission")
    assert overview.loc["right.ipynb"].tolist() == ["", "correct", "correct", "correct", "3"]
    assert overview.loc["notes.ipynb"].tolist() == ["unreadable", "", "", "", "0"]
    assert len(overview) == 7


def test_graded_once_it_is_not_executed_again(workbook, monkeypatch):
    executed = []

    def execute(self, merged, home, token):
        executed.append(merged)
        verdicts = [{"what": "verdict", "name": of.name, "status": "correct", "message": ""} for of in merged.exercises]
        events = [{"what": "started", "cell": "x"}, *verdicts, {"what": "finished"}]
        if len(executed) == 2:
            raise KeyboardInterrupt
        return Execution(events, "", "")

    monkeypatch.setattr(grading._Grading, "_execute", execute)
    folder = workbook / "submissions"
    for name in ("a", "b", "c"):
        hand_in(folder, name, RIGHT)

    def grade():
        output = folder / "grades"  # its own notebooks are no submissions
        before = len(executed)
        CliRunner().invoke(app, ["grade", str(folder), "--workers", "1", "--output", str(output)])
        return len(executed) - before

    assert grade() in (2, 3)  # the second is interrupted, the third may have begun
    assert not (folder / "grades" / "grades.csv").exists()
    kept = len(list((folder / "grades" / "kept").iterdir()))
    assert 1 <= kept < 3
    assert grade() == 3 - kept
    whole = (folder / "grades" / "grades.csv").read_text()
    assert whole.count(",correct,") == 9
    assert grade() == 0
    assert (folder / "grades" / "grades.csv").read_text() == whole
    hand_in(folder, "b", {})
    assert grade() == 1
    (workbook / "notebooks" / "00_start_here.ipynb").write_text(
        (workbook / "notebooks" / "00_start_here.ipynb").read_text().replace("any text", "a text")
    )
    assert grade() == 3
    assert grade() == 0
    monkeypatch.setattr(grading, "content_of", lambda names: dict.fromkeys(names, "other images"))
    assert grade() == 3, "other images under the same name"


def test_an_error_of_the_program_itself_costs_nobody_else_a_grade(workbook, monkeypatch):
    def execute(self, merged, home, token):
        raise ValueError("no such thing")

    monkeypatch.setattr(grading._Grading, "_execute", execute)
    folder = workbook / "submissions"
    hand_in(folder, "a", RIGHT)
    (folder / "b.ipynb").write_text("notes")
    result = CliRunner().invoke(app, ["grade", str(folder), "--output", "out"])
    assert result.exit_code == 0
    table = pd.read_csv("out/grades.csv", dtype=str, keep_default_na=False)
    assert table["status"].tolist() == ["not executed", "unreadable"]
    assert table["message"][0] == "ValueError: no such thing"


@pytest.mark.notebook
def test_solutions_in_notebooks_of_the_workbook_are_correct(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("notebooks").mkdir()
    Path("submissions").mkdir()
    for number, parameters in SMALL.items():
        (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        notebook = nbformat.read(path, as_version=4)
        for name, value in parameters.items():
            cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
            cell.source, count = re.subn(rf"(?m)^({name}: \w+ = )[^#]*", rf"\g<1>{value!r}  ", cell.source)
            assert count == 1, name
        nbformat.write(notebook, Path("notebooks", path.name))
        Path("submissions", path.name).write_text(json.dumps(solved_in_colab(notebook, path.stem[3:])))
    result = CliRunner().invoke(app, ["grade", "submissions", "--output", "out"])
    for number in SMALL:
        assert f"{number}.1 correct, {number}.2 correct, {number}.3 correct" in result.output


def solved_in_colab(notebook, module):
    """Write the solutions into a notebook, and the ids where Colab has them."""
    exercises = importlib.import_module(f"fedlearn_helpers.lessons.{module}.exercises")
    stub = None
    for cell in notebook.cells:
        if "exercise" in cell.metadata.get("tags", []):
            stub = cell
        elif "check" in cell.metadata.get("tags", []):
            name = re.match(r"exercises\.(\w+)\.check", cell.source)[1]
            stub.source = getattr(exercises, name).solution_source
        cell.metadata["id"] = cell.pop("id")
    return notebook | {"nbformat_minor": 0}


def test_a_zip_file_with_a_changed_notebook_beside_a_pdf_is_graded(workbook):
    folder = workbook / "submissions"
    hand_in(folder, "right", RIGHT, added=OWN_CELL, drop=("imports",))
    text = (folder / "right.ipynb").read_text(encoding="utf-8")
    (folder / "right.ipynb").unlink()
    with zipfile.ZipFile(folder / "ada.zip", "w") as archive:
        archive.writestr("../outside.ipynb", text)
        archive.writestr("work/right.IPYNB.txt", text.encode("utf-16"))
    (folder / "ben.pdf").write_text("%PDF")
    result = CliRunner().invoke(app, ["grade", str(folder), "--time-limit", str(LIMIT), "--output", "out"])
    assert result.exit_code == 0, result.output
    assert "ada.zip/work/right.IPYNB.txt: 00.1 correct, 00.2 correct, 00.3 correct" in result.output
    assert "1 submissions, " in result.output and "2 not collected:" in result.output
    assert (workbook / "out" / "executed" / "ada.zip" / "work" / "right.IPYNB.txt.ipynb").exists()
    overview = pd.read_csv("out/overview.csv", dtype=str, keep_default_na=False).set_index("submission")
    assert overview.loc["ada.zip/work/right.IPYNB.txt", "correct"] == "3"
    assert overview.loc["ben.pdf"].tolist() == ["not collected", "", "", "", "0"]
    assert list(workbook.parent.rglob("outside.ipynb")) == []


def test_without_namespaces_the_guard_is_in_force_and_nothing_is_left_behind(workbook, monkeypatch):
    monkeypatch.setattr(grading, "grants_namespaces", lambda: False)
    folder = workbook / "submissions"
    hand_in(folder, "curious", RIGHT | {"best_local_steps": CURIOUS}, added=OWN_CELL + LEFT_BEHIND)
    result = CliRunner().invoke(app, ["grade", str(folder), "--time-limit", f"{LIMIT}.5", "--output", "out"])
    assert result.exit_code == 0, result.output
    assert "00.1 correct, 00.2 correct, 00.3 used the network" in result.output
    assert isolation.GUARD in result.output
    assert sleepers() == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "InputError: submissions must be a folder with notebooks, got 'nowhere', which is no folder"),
        (["."], "InputError: time_limit must be > 0 seconds, got 0"),
        (["submissions"], "InputError: submissions must be a folder with notebooks, got 'submissions' with none"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(workbook, arguments, sentence):
    (workbook / "submissions").mkdir()
    limit = "0" if arguments == ["."] else "9"
    result = CliRunner().invoke(app, ["grade", *arguments, "--time-limit", limit])
    assert result.exit_code == 1
    assert result.output.strip() == sentence
    assert not (workbook / "build").exists()

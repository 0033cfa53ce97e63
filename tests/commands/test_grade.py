"""`fedlearn grade` on submissions as they come: right, wrong, empty, endless, crashing, curious, and no notebook."""

import time

import nbformat
import pandas as pd
import psutil
import pytest
from quick import code, quick_notebook
from typer.testing import CliRunner

from fedlearn_helpers.cli import app
from fedlearn_helpers.graded import grade as grading
from fedlearn_helpers.graded import isolation

RIGHT = {
    "two_records": 'prediction = "B"',
    "average": "import numpy as np\ndef server_average(returned, examples):\n    return weigh(returned, examples)",
    "best_local_steps": "best_steps = 7",
}
OWN_CELL = "def weigh(returned, examples):\n    return np.average(returned, axis=0, weights=examples)"
CHEAT = """
from fedlearn_helpers.exercises import exercise
exercise.Exercise.check = lambda self, answer, **given: exercise.Verdict("correct", "!")
exercises.two_records.test = lambda answer, **given: "!"
prediction = "A"
"""
ENDLESS = (
    "import subprocess\nsubprocess.Popen(['sleep', '4321'], start_new_session=True)\nwhile True: print('for ever')"
)
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
    hand_in(folder, "right", RIGHT, added=OWN_CELL)
    wrong = {"two_records": CHEAT, "average": "from fedlearn_helpers.exercises.start_here import server_average"}
    hand_in(folder, "wrong", wrong | {"best_local_steps": "best_steps = 6\nerror_after = lambda steps: steps != 6"})
    hand_in(folder, "empty", {}, drop=("average-answer", "average-check"))
    hand_in(folder, "endless", {"two_records": RIGHT["two_records"], "average": ENDLESS})
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
    assert (submissions.parent / "out" / "executed" / "right.ipynb").exists()


def test_without_namespaces_the_guard_is_in_force_and_nothing_is_left_behind(workbook, monkeypatch):
    monkeypatch.setattr(grading, "grants_namespaces", lambda: False)
    folder = workbook / "submissions"
    hand_in(folder, "curious", RIGHT | {"best_local_steps": CURIOUS}, added=OWN_CELL + LEFT_BEHIND)
    result = CliRunner().invoke(app, ["grade", str(folder), "--time-limit", str(LIMIT), "--output", "out"])
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

"""Folders for what commands make: one that cannot be written is refused before anything is computed."""

import errno
from pathlib import Path

import nbformat
import pytest
from quick import quick_notebook
from typer.testing import CliRunner

from fedlearn_helpers import deployment
from workbook_tools import flower
from workbook_tools.cli import app
from workbook_tools.execution import notebooks, sweeps
from workbook_tools.grading import grade as grading

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "run": ["00"],
    "sweep": ["00"],
    "compare": ["--strategies", "fedavg", "--partitions", "iid", "--seeds", "0"],
    "student": [],
    "grade": ["submissions"],
    "colab": ["00"],
    "bare": ["00"],
    "flower": [],
    "deploy": [],
}


@pytest.fixture
def nothing_runs(workbook, monkeypatch):
    def fail(*_, **__):
        pytest.fail("it ran")

    (workbook / "submissions").mkdir()
    nbformat.write(quick_notebook(), workbook / "submissions" / "one.ipynb")
    monkeypatch.setattr(notebooks, "execute", fail)
    monkeypatch.setattr(sweeps, "perform", fail)
    monkeypatch.setattr(grading, "grade_all", fail)
    monkeypatch.setattr("fedlearn_helpers.experiments.compare", fail)
    monkeypatch.setattr(deployment, "run_on_ray", fail)
    monkeypatch.setattr(flower, "deploy_app", fail)
    return workbook


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", ["/proc/results/new", "file/below", "long" * 100, "full/new"])
def test_it_is_one_sentence_and_nothing_is_made(nothing_runs, monkeypatch, command, place):
    (nothing_runs / "file").write_text("in the way")
    before = sorted(path.name for path in nothing_runs.iterdir())
    if place.startswith("full"):
        monkeypatch.setattr("os.replace", full)
    output = place if command not in ("flower", "deploy") else f"{place}/results.json"
    result = CliRunner().invoke(app, [command, *COMMANDS[command], "--output", output])
    assert result.exit_code == 1, result.output
    last = result.output.splitlines()[-1]
    assert last.startswith("InputError: output must be a folder that can be made and written into ("), result.output
    assert last.endswith(f", got {place!r}")
    assert sorted(path.name for path in nothing_runs.iterdir()) == before


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")

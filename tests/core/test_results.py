"""results.json: completely or not at all."""

import json
import os
import platform

import numpy as np
import pytest

from fedlearn_helpers.lessons.common.results import write_results

PARAMETERS = {"seed": 0, "dataset": "fashion", "workers": "auto"}
METRICS = {"accuracy": 0.75, "losses": [2.3, 1.1], "rounds": 2, "note": "é"}


def write(folder, metrics=METRICS, parameters=PARAMETERS, seconds=12.345):
    return write_results(folder, "02_federated_averaging", parameters, metrics, seconds)


def test_content(tmp_path):
    path = write(tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "results.json"
    content = json.loads(path.read_text())
    versions = content.pop("versions")
    assert content == {
        "notebook": "02_federated_averaging",
        "parameters": PARAMETERS,
        "metrics": METRICS,
        "seconds": 12.3,
    }
    assert versions["python"] == platform.python_version()
    assert set(versions) >= {"python", "fedlearn-helpers", "flwr", "torch", "numpy"}
    assert versions["numpy"] == np.__version__


def test_others_may_read_it_and_nothing_else_is_left(tmp_path):
    path = write(str(tmp_path))
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]


def test_new_results_replace_old_ones(tmp_path):
    write(tmp_path)
    assert json.loads(write(tmp_path, {"accuracy": 0.5}).read_text())["metrics"] == {"accuracy": 0.5}
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()], ids=["full", "interrupt"])
@pytest.mark.parametrize("function", ["chmod", "replace"])
def test_failure_while_writing_keeps_the_old_results(tmp_path, monkeypatch, function, error):
    def fail(*args):
        raise error

    before = write(tmp_path).read_bytes()
    monkeypatch.setattr(os, function, fail)
    with pytest.raises(type(error)):
        write(tmp_path, {"accuracy": 0.1})
    assert (tmp_path / "results.json").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), np.float64("nan")], ids=str)
@pytest.mark.parametrize("wrap", [lambda number: number, lambda number: [0.5, number]], ids=["alone", "in a list"])
def test_diverged_metric_is_refused_before_anything_is_written(tmp_path, number, wrap):
    with pytest.raises(ValueError, match="metric loss must be finite, got .*: the training has diverged"):
        write(tmp_path / "new", {"accuracy": 0.5, "loss": wrap(number)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"rate": float("nan")}},
        {"seconds": float("nan")},
        {"metrics": {"losses": [[float("nan")]]}},
        {"metrics": {"model": 1j}},
    ],
    ids=str,
)
def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path, change):
    with pytest.raises((ValueError, TypeError)):
        write(tmp_path / "new", **change)
    assert list(tmp_path.iterdir()) == []

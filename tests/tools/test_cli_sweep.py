"""What `fedlearn sweep` runs, names, refuses and draws, without running it."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from fedlearn_helpers.errors import InputError
from workbook_tools.cli import app
from workbook_tools.execution import sweeps
from workbook_tools.execution.sweeps import OK, Finished, Sweep

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOK = FOLDER / "04_non_iid_data.ipynb"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["04", "-p", "alhpa=1"], "InputError: parameter must be one of alpha, batch_size, "),
        (["04", "-p", "alpha=0.5,-1"], "InputError: alpha must be > 0, got -1"),
        (["04", "-p", "alpha="], "InputError: the values of alpha must stand between commas, got ''"),
        (["04", "-p", "alpha=1,,2"], "InputError: the value of alpha must be a number, a text or another YAML value"),
        (["04", "-p", "alpha=1", "-p", "alpha=2"], "InputError: parameter must be given once, with commas between"),
        (["04", "-p", "alpha"], "InputError: a parameter must look like name=value, got 'alpha'"),
        (["04", "-p", "seed=1"], "InputError: parameter must not be 'seed' in a sweep, use --seeds 0,1"),
        (["04", "-p", "output_dir=x"], "InputError: parameter must not be 'output_dir' in a sweep, use --output"),
        (["04", "--seeds", "0,x"], "InputError: seeds must be whole numbers with commas between them, got '0,x'"),
        (["04", "--seeds", "-1"], "InputError: seed must be >= 0, got -1"),
        (["04", "--workers", "0"], "InputError: workers must be 'auto' or a whole number >= 1, got '0'"),
        (["44"], "InputError: notebooks must be among 00, "),
    ],
)
def test_mistakes_are_one_sentence_before_anything_runs(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps, "perform", lambda *_: pytest.fail("it ran"))
    result = CliRunner().invoke(app, ["sweep", *arguments, "--folder", str(FOLDER), "--output", str(tmp_path / "new")])
    assert result.exit_code == 1
    assert result.output.startswith(sentence) and len(result.output.splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_all_combinations_are_run_with_all_seeds():
    sweep = Sweep(NOTEBOOK, {"alpha": [0.1, 1], "num_rounds": [2]}, [0, 1])
    assert sweep.varied == ("alpha",)
    assert sweep.runs() == [{"alpha": alpha, "num_rounds": 2, "seed": seed} for alpha in (0.1, 1) for seed in (0, 1)]


def test_a_kept_run_is_found_again_by_all_that_decides_its_results(tmp_path):
    notebook = tmp_path / NOTEBOOK.name
    notebook.write_bytes(NOTEBOOK.read_bytes())

    def name(values, seed=0):
        sweep = Sweep(notebook, {name: [value] for name, value in values.items()}, [seed])
        return sweeps._home(tmp_path, sweep, sweep.runs()[0]).name

    first = name({"alpha": 0.1})
    assert first == name({"alpha": 0.1, "workers": 2}), "the number of workers changes no result"
    others = {name({"alpha": 0.2}), name({"alpha": 0.1}, seed=1), name({"alpha": 0.1, "num_rounds": 3})}
    notebook.write_text(notebook.read_text().replace("Non-IID", "non-IID"))
    assert len({first, name({"alpha": 0.1}), *others}) == 5
    assert name({"dataset": "../x y/z"}).replace("=", "").replace("_", "").replace(".", "").replace("-", "").isalnum()


def test_a_kept_run_is_found_when_other_parameters_are_varied(tmp_path):
    alone = Sweep(NOTEBOOK, {"alpha": [0.1]}, [0])
    home = sweeps._home(tmp_path, alone, alone.runs()[0])
    home.mkdir()
    more = Sweep(NOTEBOOK, {"alpha": [0.1, 1]}, [0])
    found = [sweeps._home(tmp_path, more, run) for run in more.runs()]
    assert found[0] == home and found[1] != home
    assert "alpha=1" in found[1].name
    failed = home.rename(home.with_name(f"failed_{home.name}"))
    assert sweeps._home(tmp_path, alone, alone.runs()[0]) not in (failed, found[1])


def test_the_table_has_a_row_for_every_run(tmp_path):
    sweep = Sweep(NOTEBOOK, {"alpha": [0.1, 1]}, [3])
    finished = [
        Finished(OK, {"fedavg_test_accuracy": 0.5, "per_round": [0.1, 0.5], "alpha": 9}, tmp_path),
        Finished("ValueError: x", {}, tmp_path),
    ]
    table = sweeps.tabulate(sweep, finished)
    assert list(table.columns) == ["alpha", "seed", "status", "fedavg_test_accuracy", "per_round", "alpha (metric)"]
    assert table["status"].tolist() == ["ok", "ValueError: x"]
    assert json.loads(table["per_round"][0]) == [0.1, 0.5] and pd.isna(table["per_round"][1])


def test_the_figure_shows_the_main_metrics_unless_told_otherwise():
    row = {"seed": 0, "status": OK, "x": 1, "fedavg_test_accuracy": 0.5, "centralized_test_accuracy": 0.6, "text": "t"}
    table = pd.DataFrame([row])
    assert sweeps.metrics_to_draw(table) == ["fedavg_test_accuracy", "centralized_test_accuracy"]
    assert sweeps.metrics_to_draw(table, ["x"]) == ["x"]
    assert sweeps.metrics_to_draw(table.drop(columns=["fedavg_test_accuracy", "centralized_test_accuracy"])) == ["x"]
    with pytest.raises(InputError, match="metrics must be among x, fedavg_test_accuracy, .*, got text"):
        sweeps.metrics_to_draw(table, ["text"])

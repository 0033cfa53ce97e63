"""`fedlearn compare`: a table, a figure and a summary; and one sentence for what cannot work."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from fedlearn_helpers.algorithms import ALGORITHMS
from fedlearn_helpers.partition import PARTITIONS
from workbook_tools.cli import app

SMALL = [
    "--clients",
    "2",
    "--rounds",
    "1",
    "--max-images",
    "60",
    "--model",
    "mlp",
    "--workers",
    "1",
    "--partitions",
    "iid",
]


def run(output, *options):
    return CliRunner().invoke(app, ["compare", *SMALL, "--output", str(output), *options])


@pytest.mark.slow
def test_it_writes_a_table_and_a_figure_and_prints_the_summary(tmp_path):
    options = ["--strategies", "fedavg, fedprox", "--partitions", "iid,pathological:5", "--seeds", "0,1"]
    result = run(tmp_path, *options, "-s", "fedprox.mu=0.5")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "comparison.csv")
    assert len(table) == 4 * 2 * 2 and set(table["seed"]) == {0, 1}
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert "test_accuracy_std" in result.output and "pathological:5" in result.output
    assert len(list((tmp_path / "runs").iterdir())) == 3 * 2 * 2

    before = (tmp_path / "comparison.csv").read_text()
    assert run(tmp_path, *options, "-s", "fedprox.mu=0.5").exit_code == 0
    assert (tmp_path / "comparison.csv").read_text() == before


@pytest.mark.slow
def test_results_of_images_that_were_overwritten_are_not_given_for_the_new_ones(tmp_path):
    """Two classes that any model tells apart, and then noise under the same names."""

    def write(pixels_of):
        for number, name in enumerate(("dark", "light")):
            (tmp_path / "images" / name).mkdir(parents=True, exist_ok=True)
            for image in range(30):
                Image.fromarray(pixels_of(number)).save(tmp_path / "images" / name / f"{image}.png")

    def compared(output):
        options = ["--strategies", "fedavg", "--seeds", "0", "--dataset", str(tmp_path / "images")]
        return run(tmp_path / output, *options, "--rounds", "2")

    write(lambda number: np.full((32, 32, 3), 255 * number, np.uint8))
    assert compared("out").exit_code == 0
    old = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert old["test_accuracy"].tolist() == [1, 1, 1]
    rng = np.random.default_rng(0)
    write(lambda number: rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    again = compared("out")
    assert again.exit_code == 1 and len(again.output.strip().splitlines()) == 1
    assert "folder must be empty or hold runs of the same comparison" in again.output
    assert "content of the data is" in again.output
    assert pd.read_csv(tmp_path / "out" / "comparison.csv").equals(old)
    assert compared("new").exit_code == 0
    assert pd.read_csv(tmp_path / "new" / "comparison.csv")["test_accuracy"].max() < 1


def test_help_names_every_algorithm_setting_and_partition():
    result = CliRunner().invoke(app, ["compare", "--help"], env={"COLUMNS": "2000", "TERMINAL_WIDTH": "2000"})
    assert result.exit_code == 0 and "{" not in result.output
    for name, algorithm in ALGORITHMS.items():
        assert name in result.output
        assert all(f"{name}.{setting}" in result.output for setting in algorithm.settings)
    assert all(rule.pattern in result.output for rule in PARTITIONS.values())


def test_the_help_of_all_commands_imports_nothing_slow():
    code = "import sys, workbook_tools.cli; print({'torch', 'flwr', 'pandas', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--strategies", "fedsgd"], "InputError: strategy must be 'fedavg', "),
        (["--partitions", "even"], "InputError: partition must be one of iid, dirichlet, pathological, quantity"),
        (["--partitions", ","], "InputError: partitions must name at least one, got none"),
        (["--partitions", "even"], "quantity, turned, darker, got 'even'"),
        (["--seeds", "0,x"], "InputError: seeds must be whole numbers with commas between them, got '0,x'"),
        (["--seeds", ""], "InputError: seeds must be whole numbers with commas between them, got ''"),
        (["-s", "mu"], "InputError: a parameter must look like name=value, got 'mu'"),
        (
            ["-s", "fedprox.mu=1", "-s", "fedprox.mu=2"],
            "InputError: a setting must be given once, got 'fedprox.mu' twice",
        ),
        (["-s", "mu=1"], "InputError: a setting must look like strategy.name=value, got 'mu=1'"),
        (["-s", "fedprox.mu=x"], "InputError: a setting must look like strategy.name=value, got 'fedprox.mu=x'"),
        (["-s", "fedprox.mu=-1"], "InputError: mu of fedprox must be >= 0, got -1"),
        (["--dataset", "imagenet"], "InputError: dataset must be"),
        (["--momentum", "1"], "InputError: momentum must be in [0, 1), got 1.0"),
        (["--workers", "0"], "InputError: workers must be 'auto' or a whole number >= 1, got '0'"),
        (["--workers", "many"], "InputError: workers must be 'auto' or a whole number >= 1, got 'many'"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_writes_nothing(tmp_path, options, sentence):
    result = run(tmp_path / "new", *options)
    assert result.exit_code == 1
    assert sentence in result.output and "Traceback" not in result.output
    assert not (tmp_path / "new").exists()

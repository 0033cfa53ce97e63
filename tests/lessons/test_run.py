"""Every notebook, executed as an instructor would: with small parameters, and with parameters that cannot work."""

import ast
import itertools
import json
import os
import re
from pathlib import Path

import nbformat
import papermill
import pytest
from exercise_cells import exercise_of
from papermill.exceptions import PapermillExecutionError
from test_form import CHECKED_BY

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.parameters import check_parameters

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SMALL = {
    "00_start_here": {"num_rounds": 2, "local_steps": 2},
    "01_centralized_cnn": {"num_clients": 40, "epochs": 2, "batch_size": 200},
    "02_federated_averaging": {"num_clients": 6, "num_rounds": 2, "batch_size": 100},
    "03_clients_that_come_and_go": {"num_clients": 8, "clients_per_round": 4, "num_rounds": 1, "max_images": 400},
    "04_non_iid_data": {"num_clients": 6, "num_rounds": 1, "max_images": 500},
    "05_strategies": {
        "strategies": "fedavg,scaffold,qfedavg",
        "partitions": "iid,dirichlet:0.5",
        "num_seeds": 2,
        "num_clients": 3,
        "num_rounds": 1,
        "max_images": 300,
    },
    "06_personalization": {
        "methods": "global,finetune,ditto,ifca",
        "others": "",
        "num_seeds": 1,
        "num_clients": 5,
        "num_newcomers": 1,
        "num_rounds": 1,
        "batch_size": 50,
        "max_images": 300,
    },
}
METRICS = {
    "00_start_here": {"federated_error", "centralized_error", "local_only_error"},
    "01_centralized_cnn": {"centralized_test_accuracy", "local_only_test_accuracy"},
    "02_federated_averaging": {
        "fedavg_test_accuracy",
        "local_only_test_accuracy",
        "centralized_test_accuracy",
        "test_accuracy_per_round",
        "bytes_down",
        "bytes_up",
        "fedavg_seconds",
    },
    "03_clients_that_come_and_go": {
        "wait_test_accuracy",
        "drop_slow_classes_accuracy",
        "partial_fast_classes_accuracy",
        "partial_pull_simulated_seconds",
        "local_only_test_accuracy",
        "centralized_test_accuracy",
        "few_clients_lost_class_after",
        "many_clients_lost_class_after",
    },
    "04_non_iid_data": {
        "fedavg_test_accuracy",
        "fedavg_client_accuracy_mean",
        "fedavg_client_accuracy_worst",
        "local_only_test_accuracy",
        "local_only_client_accuracy_mean",
        "centralized_test_accuracy",
        "heterogeneity_total_variation",
        "heterogeneity_jensen_shannon",
    },
    "05_strategies": {
        "scaffold on dirichlet:0.5: test_accuracy",
        "centralized on iid: test_accuracy",
        "local only on iid: worst_client_accuracy",
        "qfedavg on iid: points above fedavg",
    },
    "06_personalization": {
        "situations",
        "local_only_mean",
        "ditto_mean",
        "ditto_worst_tenth",
        "ditto_better_than_alone",
        "ditto_newcomers",
        "best_points_on_pathological:2",
        "fedbn_points_on_darker:0.95",
    },
}
BAD = [
    (
        "06_personalization",
        {"methods": "ditto"},
        "methods must be 'all', or global, finetune and others out of global, finetune, perfedavg",
    ),
    ("06_personalization", {"skewed": "iid,iid"}, "skewed must be one situation, such as pathological:2, got"),
    ("06_personalization", {"alike": "turned:3"}, "situation turned must be turned:2 or turned:4, got 'turned:3'"),
    ("06_personalization", {"others": "darker:2"}, "situation darker needs a number > 0 and <= 1, as in darker:0.9"),
    ("06_personalization", {"others": "even"}, "partition must be one of iid, dirichlet, pathological, quantity"),
    ("06_personalization", {"num_newcomers": 0}, "num_newcomers must be >= 1, got 0"),
    ("06_personalization", {"num_clients": 3, "num_newcomers": 1}, "have room for 8 of 10 classes; use more of either"),
    (
        "05_strategies",
        {"strategies": "scaffold"},
        "strategies must be 'all', or fedavg and others out of fedavg, fedprox",
    ),
    ("05_strategies", {"strategies": "fedavg,fedsgd"}, "strategies must be 'all', or fedavg and others"),
    ("05_strategies", {"partitions": "iid,even"}, "partition must be one of iid, dirichlet, pathological, quantity"),
    ("05_strategies", {"partitions": "dirichlet:0"}, "partition must look like dirichlet:alpha, with a number > 0"),
    ("05_strategies", {"num_seeds": 1}, "num_seeds must be >= 2, got 1"),
    ("05_strategies", {"model": "resnet"}, "model must be 'mlp' or 'cnn', got 'resnet'"),
    ("05_strategies", {"num_clients": 500}, "num_clients must be <= 150, since each client needs min_size=10"),
    ("00_start_here", {"num_rounds": 0}, "num_rounds must be >= 1, got 0"),
    ("00_start_here", {"learning_rate": 5}, "learning_rate must be <= 0.25, got 5"),
    ("00_start_here", {"local_steps": "many"}, "local_steps must be a whole number, got 'many'"),
    ("01_centralized_cnn", {"epochs": 0}, "epochs must be >= 1, got 0"),
    ("01_centralized_cnn", {"batch_size": 0}, "batch_size must be >= 1, got 0"),
    ("01_centralized_cnn", {"dataset": "imagenet"}, "dataset must be 'fashion', 'cifar10'"),
    ("01_centralized_cnn", {"num_clients": 6000}, "num_clients=6000 leaves a client with 1; use fewer clients"),
    ("02_federated_averaging", {"num_clients": 0}, "num_clients must be >= 1, got 0"),
    ("02_federated_averaging", {"num_clients": "four"}, "num_clients must be a whole number, got 'four'"),
    ("02_federated_averaging", {"num_clients": 20_000}, "num_clients must be between 1 and the 10000 training"),
    ("02_federated_averaging", {"num_rounds": 0}, "num_rounds must be >= 1, got 0"),
    ("02_federated_averaging", {"local_epochs": 0}, "local_epochs must be >= 1, got 0"),
    ("02_federated_averaging", {"batch_size": 0}, "batch_size must be >= 1, got 0"),
    ("02_federated_averaging", {"learning_rate": -0.1}, "learning_rate must be > 0, got -0.1"),
    ("02_federated_averaging", {"fraction_train": 1.5}, "fraction_train must be <= 1, got 1.5"),
    ("02_federated_averaging", {"min_clients": 11}, "min_clients must be <= num_clients (10), got 11"),
    ("02_federated_averaging", {"workers": 0}, "workers must be 'auto' or a whole number >= 1, got 0"),
    ("02_federated_averaging", {"seed": -1}, "seed must be >= 0, got -1"),
    ("02_federated_averaging", {"device": "tpu"}, "device must be 'auto', 'cpu' or 'cuda', got 'tpu'"),
    ("03_clients_that_come_and_go", {"clients_per_round": 31}, "clients_per_round must be <= num_clients (30), got 31"),
    (
        "03_clients_that_come_and_go",
        {"slow_share": 1.0},
        "slow_share must leave at least one fast and one slow device among 30",
    ),
    (
        "03_clients_that_come_and_go",
        {"slow_share": 0.0},
        "slow_share must leave at least one fast and one slow device among 30",
    ),
    ("03_clients_that_come_and_go", {"availability": 0.0}, "availability must be > 0, got 0.0"),
    ("03_clients_that_come_and_go", {"deadline": 0.0}, "deadline must be > 0, got 0.0"),
    ("03_clients_that_come_and_go", {"mu": -0.1}, "mu must be >= 0, got -0.1"),
    (
        "03_clients_that_come_and_go",
        {"num_clients": 3000, "max_images": 4000},
        "num_clients=3000 leaves a client with 0; use fewer clients",
    ),
    ("04_non_iid_data", {"alpha": 0}, "alpha must be > 0, got 0"),
    ("04_non_iid_data", {"partition": "even"}, "partition must be 'iid', 'dirichlet', 'pathological' or 'quantity'"),
    (
        "04_non_iid_data",
        {"partition": "pathological", "classes_per_client": 11},
        "classes_per_client must be between 1 and the 10 classes of the data, got 11",
    ),
    ("04_non_iid_data", {"num_clients": 2000}, "num_clients must be <= 1000, since each client needs min_size=10"),
]


def execute(name: str, folder: Path, *, source: Path | None = None, **parameters) -> dict:
    """Run a notebook, or another version of it, in `folder` and return its results.json."""
    output_dir = folder / "results"
    papermill.execute_notebook(
        str(source or NOTEBOOKS / f"{name}.ipynb"),
        str(folder / f"{name}.ipynb"),
        parameters={"output_dir": str(output_dir)} | parameters,
        kernel_name="python3",
        progress_bar=False,
        execution_timeout=300,
        cwd=str(folder),
    )
    return json.loads((output_dir / "results.json").read_text())


@pytest.mark.parametrize("name", SMALL)
def test_runs_with_small_parameters_and_nothing_attempted(name, tmp_path):
    results = execute(name, tmp_path, **SMALL[name])
    assert results["notebook"] == name
    assert SMALL[name].items() <= results["parameters"].items()
    assert METRICS[name] <= set(results["metrics"])
    assert set(verdicts(tmp_path / f"{name}.ipynb")) == {"not attempted"}


@pytest.mark.parametrize("name", SMALL)
def test_with_every_solution_in_its_cell_every_exercise_is_correct(name, tmp_path):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    for stub, check in itertools.pairwise(notebook.cells):
        if "exercise" in stub.metadata.get("tags", []):
            stub.source = exercise_of(name, check).solution_source
    solved = tmp_path / "solved.ipynb"
    nbformat.write(notebook, solved)
    execute(name, tmp_path, source=solved, **SMALL[name])
    assert set(verdicts(tmp_path / f"{name}.ipynb")) == {"correct"}


def verdicts(executed: Path) -> list[str]:
    """Return what the checks in a notebook that was run say."""
    pages = [
        output["data"].get("text/html", "")
        for cell in nbformat.read(executed, as_version=4).cells
        if "check" in cell.metadata.get("tags", [])
        for output in cell.outputs
    ]
    found = [re.search(r'data-status="([^"]+)"', page)[1] for page in pages]
    assert len(found) >= 3
    return found


def refused_at_once(name: str, parameters: dict) -> str | None:
    """Return what the notebook's first check says about these parameters; None if only a later cell can tell."""
    declared = papermill.inspect_notebook(str(NOTEBOOKS / f"{name}.ipynb"))
    defaults = {key: ast.literal_eval(facts["default"]) for key, facts in declared.items()}
    try:
        check_parameters(CHECKED_BY[name], defaults | parameters)
    except InputError as error:
        return str(error)
    return None


def worth_a_run() -> list[tuple[str, dict, str]]:
    """Return one entry a notebook that its first check refuses, and all that only a later cell can refuse."""
    seen, chosen = set(), []
    for name, bad, sentence in BAD:
        at_once = refused_at_once(name, bad) is not None
        if not (at_once and name in seen):
            chosen.append((name, bad, sentence))
        if at_once:
            seen.add(name)
    return chosen


@pytest.mark.parametrize(("name", "parameters", "sentence"), BAD)
def test_bad_parameters_get_one_sentence(name, parameters, sentence):
    said = refused_at_once(name, parameters)
    assert said is None or sentence in said


@pytest.mark.parametrize(("name", "parameters", "sentence"), worth_a_run())
def test_bad_parameters_end_before_training_with_one_sentence(name, parameters, sentence, tmp_path):
    with pytest.raises(PapermillExecutionError) as caught:
        execute(name, tmp_path, **parameters)
    assert caught.value.ename == "InputError"
    assert sentence in caught.value.evalue
    assert len(caught.value.traceback) == 1, "a learner sees the sentence, not the code that found the mistake"
    assert not (tmp_path / "results").exists()


def test_two_runs_are_equal_bit_for_bit(tmp_path):
    small = SMALL["02_federated_averaging"]
    runs = []
    for folder, workers in ((tmp_path / "a", 1), (tmp_path / "b", "auto")):
        folder.mkdir()
        metrics = execute("02_federated_averaging", folder, **small, workers=workers)["metrics"]
        runs.append({name: value for name, value in metrics.items() if not name.endswith("seconds")})
    assert runs[0] == runs[1]


def test_another_seed_gives_another_run(tmp_path):
    accuracies = set()
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        results = execute("02_federated_averaging", folder, **SMALL["02_federated_averaging"], seed=seed)
        accuracies.add(tuple(results["metrics"]["test_accuracy_per_round"]))
    assert len(accuracies) == 2


def test_notebooks_01_and_02_give_the_same_reference_lines(tmp_path):
    """The lines that 01 introduces are the ones that 02 compares with."""
    for name in "ab":
        (tmp_path / name).mkdir()
    shared = {"num_clients": 5, "batch_size": 100}
    first = execute("01_centralized_cnn", tmp_path / "a", **shared, epochs=2)["metrics"]
    second = execute("02_federated_averaging", tmp_path / "b", **shared, num_rounds=2)["metrics"]
    assert first["centralized_test_accuracy"] == second["centralized_test_accuracy"]
    alone = first["local_only_test_accuracy_per_client"]
    assert alone == second["local_only_test_accuracy_per_client"][: len(alone)]


@pytest.mark.skipif(
    not (Path(os.environ.get("FEDLEARN_DATA", "")) / "cifar10").is_dir(), reason="needs CIFAR-10 in FEDLEARN_DATA"
)
def test_cifar10_reaches_all_three_lines(tmp_path):
    """A short run: the federation must lie above local only, and below centralized."""
    metrics = execute("02_federated_averaging", tmp_path, dataset="cifar10", num_rounds=3, local_epochs=2)["metrics"]
    assert 0.30 < metrics["local_only_test_accuracy"] < metrics["fedavg_test_accuracy"]
    assert metrics["fedavg_test_accuracy"] < metrics["centralized_test_accuracy"] < 0.70

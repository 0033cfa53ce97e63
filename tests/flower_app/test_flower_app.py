"""The Flower app: the same as `federate`, and the same in this process, with `flwr run` on Ray, and on a cluster.

What must be equal, for equal seeds: accuracies exactly, losses to `LOSS_TOLERANCE`. The bits of a float32 sum depend on
the processor and on the number of threads, and the server's own evaluation may use all cores; on one machine,
all numbers have been found to be equal.
"""

import io
import json
import os
import shutil
import tempfile
import threading
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from app_runs import DEFAULTS, FLOWER_APP, NUM_CLIENTS, forget_data, run
from flwr.clientapp import ClientApp
from workbook_app import task
from workbook_app.client_app import app as client_app
from workbook_app.settings import read_run_config

from fedlearn_helpers import partition
from fedlearn_helpers.algorithms import ALGORITHMS, LocalConfig
from fedlearn_helpers.algorithms.scaffold import Scaffold
from fedlearn_helpers.deployment import run_on_ray
from fedlearn_helpers.deployment.processes import OwnProcesses
from fedlearn_helpers.deployment.ray_node import start_ray_node
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate

LOSS_TOLERANCE = 1e-6  # relative

# Half of the clients train in a round, so that sampling must agree, too.
CHANGES = {"num-server-rounds": 2, "batch-size": 100, "fraction-train": 0.5, "min-clients": 2}

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'flwr[simulation]'")


# In this process --------------------------------------------------------------------------


def equal(arrays, others):
    return list(arrays) == list(others) and all((arrays[name].numpy() == others[name].numpy()).all() for name in arrays)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_it_is_the_federation_of_the_notebooks(noise, name):
    """All weights bit for bit, and all accuracies: on the test images, and of each client's own model."""
    changes = {"algorithm": name, "num-server-rounds": 2, "batch-size": 12, "partition": "dirichlet:1.0"}
    history = run(changes, num_clients=3)
    config = read_run_config(DEFAULTS | changes)
    expected = federate(
        name,
        task.load_images("fashion"),
        task.new_shards(config, 3),
        num_rounds=2,
        local_config=LocalConfig(batch_size=12),
        seed=0,
        workers=1,
        label=None,
    )
    assert equal(history.arrays, expected.model)
    assert tuple(metrics["accuracy"] for metrics in history.server_metrics.values()) == expected.test_accuracy
    last = history.clients.query("phase == 'evaluate' and round == 2")
    assert last["accuracy"].tolist() == expected.members.own.tolist()
    if ALGORITHMS[name].is_personal:
        assert last["test-accuracy"].tolist() == expected.members.test.tolist()


def test_settings_and_momentum_change_the_result_as_they_do_in_the_notebooks(noise):
    changes = {"algorithm": "fedprox", "num-server-rounds": 1, "batch-size": 5, "local-epochs": 2}
    config = read_run_config(DEFAULTS | changes)
    expected = federate(
        "fedprox",
        task.load_images("fashion"),
        task.new_shards(config, NUM_CLIENTS),
        num_rounds=1,
        local_config=LocalConfig(2, 5, 0.05, 0.5),
        settings={"mu": 2.0},
        seed=0,
        label=None,
    )
    assert equal(run(changes | {"settings": "mu=2", "momentum": 0.5}).arrays, expected.model)
    assert not equal(run(changes | {"settings": "mu=2"}).arrays, expected.model)
    assert not equal(run(changes | {"momentum": 0.5}).arrays, expected.model)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_who_measures_does_not_change_who_trains_nor_the_model(noise, tmp_path, share):
    path = tmp_path / "results.json"
    history = run(CHANGES | {"fraction-evaluate": share, "results-path": str(path)})
    everyone = run(CHANGES)
    assert sampled(history) == sampled(everyone) and equal(history.arrays, everyone.arrays)
    asked = [entry["clients"] for entry in json.loads(path.read_text())["rounds"][1:]]
    assert asked == [{"train": 2, "evaluate": share * NUM_CLIENTS}] * 2


def test_the_final_model_is_a_file_of_arrays(noise, tmp_path):
    path = tmp_path / "new" / "model.npz"
    history = run(CHANGES | {"model-path": str(path)})
    with np.load(path, allow_pickle=False) as file:
        assert list(file) == list(history.arrays)
        assert all((file[name] == array.numpy()).all() for name, array in history.arrays.items())


def test_what_all_clients_are_counts_when_half_of_them_train(noise):
    """SCAFFOLD's server divides by the number of all clients; `federate` draws others, and divides alike."""
    changes = {"algorithm": "scaffold", "num-server-rounds": 3, "batch-size": 12, "fraction-train": 0.5}
    numbers = []

    class Counting(Scaffold):
        def combine(self, answers):
            numbers.append((len(answers), self.num_clients))
            return super().combine(answers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fedlearn_helpers.algorithms.scaffold.Scaffold", Counting)
        run(changes)
    assert numbers == [(2, NUM_CLIENTS)] * 3


def test_the_partition_is_that_of_the_run_config(noise):
    """80 images of three classes at four clients; each has its own two classes."""
    history = run({"partition": "pathological:2", "num-server-rounds": 1})
    labels = task.load_images("fashion").train_labels.numpy()
    parts = partition.make_partition(
        labels=labels, num_clients=NUM_CLIENTS, classes_per_client=2, name="pathological", seed=0
    )
    trained = history.clients.query("phase == 'train'")
    assert trained["examples"].tolist() == [len(part) - max(round(0.2 * len(part)), 1) for part in parts]


def test_the_results_file_says_what_the_history_says(noise, tmp_path):
    path = tmp_path / "new" / "results.json"
    history = run(CHANGES | {"results-path": str(path)})
    results = json.loads(path.read_text())
    assert (results["status"], results["error"]) == ("completed", None)
    assert results["run-config"] == DEFAULTS | CHANGES | {"results-path": str(path)}
    assert [entry["round"] for entry in results["rounds"]] == [0, 1, 2]
    assert results["rounds"][0]["server"] == history.server_metrics[0]
    for entry in results["rounds"][1:]:
        assert entry["clients"] == {"train": 2, "evaluate": NUM_CLIENTS}
        assert entry["failures"] == {"train": 0, "evaluate": 0}
        assert entry["errors"] == []
        assert entry["trained"] == sampled(history)[entry["round"] - 1]
        for phase in ("train", "evaluate", "server"):
            assert entry[phase] == history.aggregated[phase][entry["round"]]
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


def test_the_data_are_loaded_once_per_process(noise):
    run(CHANGES)
    assert noise == ["fashion"]


def test_progress_counts_rounds_and_not_the_questions_before_them(noise, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    run(CHANGES)
    assert "Round 2/2" in terminal.getvalue().splitlines()[-1]
    assert f"/{NUM_CLIENTS}" not in terminal.getvalue()


def test_without_a_path_nothing_is_written(noise, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(CHANGES)
    assert list(tmp_path.iterdir()) == []


def test_losses_that_json_cannot_hold_are_null(noise, tmp_path, monkeypatch):
    monkeypatch.setattr("workbook_app.server_app.evaluate", lambda *_: SimpleNamespace(loss=float("nan"), accuracy=0.5))
    path = tmp_path / "results.json"
    run(CHANGES | {"results-path": str(path)})
    assert [entry["server"] for entry in json.loads(path.read_text())["rounds"]] == [
        {"loss": None, "accuracy": 0.5}
    ] * 3


def sampled(history):
    return [list(clients) for _, clients in history.clients.query("phase == 'train'").groupby("round")["client"]]


def test_the_seed_decides_who_trains(noise):
    many_rounds = {"num-server-rounds": 10, "fraction-train": 0.5, "fraction-evaluate": 0.0}
    clients = sampled(run(many_rounds))
    assert [len(per_round) for per_round in clients] == [2] * 10
    assert len({tuple(per_round) for per_round in clients}) > 1
    assert sampled(run(many_rounds)) == clients
    assert sampled(run(many_rounds | {"seed": 1})) != clients


@pytest.mark.parametrize(("fraction", "minimum", "size"), [(1.0, 2, 4), (0.5, 3, 3), (0.3, 1, 1), (0.1, 1, 1)])
def test_as_many_train_as_in_flowers_fedavg(fraction, minimum, size, noise):
    history = run({"num-server-rounds": 1, "fraction-train": fraction, "min-clients": minimum})
    assert list(history.rounds.loc[1:, "clients"]) == [size]


# Mistakes and failures --------------------------------------------------------------------


def test_nothing_is_trained_with_a_bad_run_config(noise):
    with pytest.raises(InputError, match=r"^dataset must be .*, got 'nonsense'$"):
        run({"dataset": "nonsense"}, seed=0)
    assert noise == []


def test_more_clients_than_there_are_cannot_be_asked_for(noise, tmp_path):
    path = tmp_path / "results.json"
    sentence = "min-clients must be <= num-supernodes (4), got 5"
    with pytest.raises(InputError) as caught:
        run({"min-clients": 5, "results-path": str(path)})
    assert str(caught.value) == sentence
    results = json.loads(path.read_text())
    assert (results["status"], results["error"]) == ("failed", f"InputError: {sentence}")


def test_a_results_path_that_cannot_be_written_ends_the_run_at_once(noise, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="^results-path must be a file that can be written"):
        run({"results-path": str(tmp_path / "file" / "results.json")})
    assert noise == []


def failing_client_app():
    """The app's clients, but number 1 cannot train."""
    app = ClientApp()

    @app.train()
    def train(message, context):
        if context.node_config["partition-id"] == 1:
            raise RuntimeError("disk full")
        return client_app(message, context)

    app.evaluate()(client_app)
    app.query()(client_app)
    return app


def test_failures_are_counted_and_explained(noise, tmp_path):
    path = tmp_path / "results.json"
    run({"num-server-rounds": 1, "results-path": str(path)}, clients=failing_client_app(), on_error="reply")
    results = json.loads(path.read_text())
    assert results["status"] == "completed"
    last = results["rounds"][1]
    assert last["failures"] == {"train": 1, "evaluate": 0}
    assert last["errors"] == ["client 1 in round 1, phase 'train': RuntimeError: disk full"]


def test_a_run_that_ends_early_says_why_in_the_file(noise, tmp_path):
    path = tmp_path / "results.json"
    with pytest.raises(RuntimeError, match="disk full"):
        run({"results-path": str(path)}, clients=failing_client_app(), on_error="raise")
    results = json.loads(path.read_text())
    assert (results["status"], results["error"]) == ("failed", "RuntimeError: disk full")


# The runner's own mistakes ----------------------------------------------------------------


@needs_ray
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num_supernodes": 0}, "num_supernodes must be a whole number >= 1, got 0"),
        ({"client_cpus": 0.5}, "client_cpus must be a whole number >= 1, got 0.5"),
        ({"timeout": 0}, "timeout must be > 0, got 0"),
        ({"run_config": {"results-path": "/x"}}, "run_config must not have results-path, got '/x'"),
        ({"app": Path("/nowhere")}, "app must be a folder with a pyproject.toml, got '/nowhere'"),
    ],
)
def test_the_runner_checks_its_arguments(options, sentence):
    options = {"app": FLOWER_APP, "run_config": {}, "num_supernodes": 2} | options
    with pytest.raises(InputError) as caught:
        run_on_ray(options.pop("app"), **options)
    assert str(caught.value) == sentence


# On Ray -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def in_process(tmp_path_factory):
    """What `CHANGES` gives in this process, by seed."""
    forget_data()
    rounds = {}
    for seed in (0, 1):
        path = tmp_path_factory.mktemp("in_process") / "results.json"
        run(CHANGES | {"seed": seed, "results-path": str(path)}, workers="auto")
        rounds[seed] = json.loads(path.read_text())["rounds"]
    return rounds


def numbers(rounds, metric):
    return [
        entry[phase][metric]
        for entry in rounds
        for phase in ("train", "evaluate", "server")
        if metric in entry.get(phase, {})
    ]


def same_metrics(rounds, others):
    assert len(numbers(rounds, "accuracy")) == 5 and len(numbers(rounds, "loss")) == 7
    return numbers(rounds, "accuracy") == numbers(others, "accuracy") and numbers(rounds, "loss") == pytest.approx(
        numbers(others, "loss"), rel=LOSS_TOLERANCE
    )


WORKER = "PYTEST_XDIST_WORKER"  # which of the processes of tests has started this one


def command_of(process):
    return " ".join(process.info["cmdline"] or [])


def of_flower_or_ray():
    """The processes of Flower and Ray that run on this machine, but for those that tests beside these have started."""
    found, own = {}, os.environ.get(WORKER)
    for process in psutil.process_iter(["cmdline", "environ", "status"]):
        if (process.info["environ"] or {}).get(WORKER, own) != own:
            continue
        command = command_of(process)
        names = ("ray::", "/raylet", "gcs_server", "bin/ray start", "flower-superlink", "flower-superexec", "flwr")
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(name in command for name in names):
            found[process.pid] = command
    return found


@pytest.fixture(scope="module")
def nothing_left():
    """Check that no process stays that was not there before, and no file."""
    processes, folders = set(of_flower_or_ray()), set(Path("/tmp").glob("fedflwr-*"))
    yield
    assert {pid: command for pid, command in of_flower_or_ray().items() if pid not in processes} == {}
    assert set(Path("/tmp").glob("fedflwr-*")) == folders


@needs_ray
def test_flwr_run_gives_what_this_process_gives(in_process, nothing_left):
    results = run_on_ray(FLOWER_APP, run_config=CHANGES, num_supernodes=NUM_CLIENTS)
    assert [entry["failures"] for entry in results["rounds"][1:]] == [{"train": 0, "evaluate": 0}] * 2
    assert same_metrics(results["rounds"], in_process[0])
    assert not same_metrics(results["rounds"], in_process[1])


@pytest.fixture(scope="module")
def cluster(nothing_left, tmp_path_factory):
    """Two Ray nodes with one core each; return their address and the folder they are in."""
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as name, OwnProcesses() as processes:
        address = start_ray_node(processes, Path(name), num_cpus=1)
        start_ray_node(processes, Path(name), num_cpus=1, address=address)
        yield SimpleNamespace(address=address, folder=name)


class NodesAtWork(threading.Thread):
    """Watches on which nodes clients run: a worker is a child of its node's `raylet`, and named after what it does."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        commands = {process.pid: command_of(process) for process in psutil.process_iter(["cmdline"])}
        self.nodes = {pid for pid, command in commands.items() if "/raylet " in command and folder in command}
        self.at_work, self._over = set(), threading.Event()

    def run(self):
        while not self._over.wait(0.1):
            for process in psutil.process_iter(["cmdline", "ppid"]):
                if command_of(process).startswith("ray::ClientAppActor.run"):
                    self.at_work |= {process.info["ppid"]} & self.nodes

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *details):
        self._over.set()
        self.join()


@needs_ray
def test_a_cluster_of_two_nodes_gives_the_same(cluster, in_process):
    with NodesAtWork(cluster.folder) as watch:
        results = run_on_ray(FLOWER_APP, run_config=CHANGES, num_supernodes=NUM_CLIENTS, ray_address=cluster.address)
    assert len(watch.nodes) == 2
    assert watch.at_work == watch.nodes
    assert same_metrics(results["rounds"], in_process[0])


@needs_ray
def test_a_client_that_fails_is_an_error_although_flower_calls_the_run_completed(cluster, tmp_path):
    app = tmp_path / "failing_app"
    shutil.copytree(FLOWER_APP, app)
    (app / "workbook_app" / "failing.py").write_text(FAILING_CLIENT)
    pyproject = app / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("workbook_app.client_app:app", "workbook_app.failing:app"))
    changes = {"num-server-rounds": 1, "batch-size": 500}
    with pytest.raises(RuntimeError) as caught:
        run_on_ray(app, run_config=changes, num_supernodes=2, ray_address=cluster.address)
    first_line, second_line, *log = str(caught.value).splitlines()
    assert first_line.startswith("messages to clients that failed: 1; client 1 in round 1, phase 'train': ")
    assert "disk full" in first_line
    assert second_line == "The last lines of flwr_run.log:"
    assert any("Exit Code" in line or "accuracy" in line for line in log)


FAILING_CLIENT = """
from flwr.clientapp import ClientApp

from workbook_app.client_app import app as working

app = ClientApp()
app.evaluate()(working)
app.query()(working)


@app.train()
def train(message, context):
    if context.node_config["partition-id"] == 1:
        raise RuntimeError("disk full")
    return working(message, context)
"""


@needs_ray
def test_a_bad_run_config_is_an_error_although_flwr_run_exits_with_0(cluster):
    changes = {"algorithm": "fedsgd", "learning-rate": -1}
    with pytest.raises(RuntimeError) as caught:
        run_on_ray(FLOWER_APP, run_config=changes, num_supernodes=2, ray_address=cluster.address)
    assert str(caught.value).splitlines()[0] == (
        "the run is finished:failed: Simulation failed with exception: "
        f"algorithm must be {', '.join(map(repr, ALGORITHMS))}, got 'fedsgd'; learning-rate must be > 0, got -1"
    )

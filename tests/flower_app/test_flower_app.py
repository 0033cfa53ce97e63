"""The federation of notebook 02 as a Flower app: the same in this process, with `flwr run` on Ray, and on a cluster.

What must be equal, for equal seeds: accuracies exactly, losses to `LOSS_TOLERANCE`. The bits of a float32 sum depend on
the processor and on the number of threads, and the server's own evaluation may use all cores; on one machine,
all numbers have been found to be equal.
"""

import io
import json
import shutil
import tempfile
import threading
import tomllib
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from flwr.app import ArrayRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg
from workbook_app import client_app as client_module
from workbook_app import task
from workbook_app.client_app import app as client_app
from workbook_app.server_app import app as server_app

from fedlearn_helpers import partition
from fedlearn_helpers.data import ImageDataset, load_dataset
from fedlearn_helpers.deployment.processes import OwnProcesses
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments.basic_client import make_client_app
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.simulation import keep_result, simulate
from workbook_tools.flower import run_app
from workbook_tools.flower.ray_node import start_ray_node

FLOWER_APP = Path(__file__).parents[2] / "flower_app"
NUM_CLIENTS = 4
LOSS_TOLERANCE = 1e-6  # relative
DEFAULTS = tomllib.loads((FLOWER_APP / "pyproject.toml").read_text())["tool"]["flwr"]["app"]["config"]

# Half of the clients train in a round, so that sampling must agree, too.
CHANGES = {"num-server-rounds": 2, "batch-size": 100, "fraction-train": 0.5, "min-clients": 2}

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'flwr[simulation]'")


def run(run_config=None, *, clients=client_app, workers=1, **options):
    run_config = DEFAULTS | (run_config or {})
    options = {"num_clients": NUM_CLIENTS, "seed": run_config["seed"]} | options
    return simulate(server_app, clients, run_config=run_config, workers=workers, **options)


def forget_data():
    task.load_images.cache_clear()
    client_module._new_client.cache_clear()


@pytest.fixture
def noise(monkeypatch):
    """Replace the data set by 80 + 40 images of noise; return how often it has been loaded."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (120, 1, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.randint(3, (120,), generator=generator)
    loaded = []

    def load(name):
        loaded.append(name)
        return ImageDataset(name, images[:80], labels[:80], images[80:], labels[80:], ("a", "b", "c"), "Noise.")

    monkeypatch.setattr(task, "load_dataset", load)
    forget_data()
    yield loaded
    forget_data()


# In this process --------------------------------------------------------------------------


def exchanges(history):
    """All training and evaluation, without the times."""
    return [replace(entry, seconds=0.0) for entry in history.exchanges if entry.phase != "query"]


def test_it_is_the_federation_of_notebook_02():
    """Against its parts, put together as in the notebook."""
    data = load_dataset("fashion")
    shares = partition.iid(len(data.train_labels), NUM_CLIENTS, seed=3)
    shards = partition.split_train_validation(shares, validation_fraction=0.2, seed=3)
    model = new_cnn(data.image_shape, data.num_classes, seed=3)
    notebooks_client = make_client_app(data, shards, model, local_epochs=1, batch_size=100, learning_rate=0.003, seed=3)
    initial = ArrayRecord(model.state_dict())
    notebooks_server = ServerApp()

    @notebooks_server.main()
    def main(grid, context):
        keep_result(FedAvg().start(grid=grid, initial_arrays=initial, num_rounds=2), context)

    expected = simulate(notebooks_server, notebooks_client, num_clients=NUM_CLIENTS, seed=3)
    history = run({"num-server-rounds": 2, "batch-size": 100, "seed": 3}, workers="auto")
    assert exchanges(history) == exchanges(expected)
    for name, tensor in history.arrays.to_torch_state_dict().items():
        assert torch.equal(tensor, expected.arrays.to_torch_state_dict()[name])


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
    many_rounds = {"num-server-rounds": 10, "fraction-train": 0.5}
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
        run_app(options.pop("app"), **options)
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


def command_of(process):
    return " ".join(process.info["cmdline"] or [])


def of_flower_or_ray():
    """The processes of Flower and Ray that run on this machine."""
    found = {}
    for process in psutil.process_iter(["cmdline", "status"]):
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
    results = run_app(FLOWER_APP, run_config=CHANGES, num_supernodes=NUM_CLIENTS)
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
        results = run_app(FLOWER_APP, run_config=CHANGES, num_supernodes=NUM_CLIENTS, ray_address=cluster.address)
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
        run_app(app, run_config=changes, num_supernodes=2, ray_address=cluster.address)
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
    changes = {"strategy": "fedsgd", "learning-rate": -1}
    with pytest.raises(RuntimeError) as caught:
        run_app(FLOWER_APP, run_config=changes, num_supernodes=2, ray_address=cluster.address)
    assert str(caught.value).splitlines()[0] == (
        "the run is finished:failed: Simulation failed with exception: "
        "learning-rate must be > 0, got -1; strategy must be 'fedavg', got 'fedsgd'"
    )

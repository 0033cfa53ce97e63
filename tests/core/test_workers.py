"""Clients in forked processes: the same bits as in one process, and nothing left behind."""

import contextlib
import gc
import logging
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg, FedTrimmedAvg

from fedlearn_helpers import device
from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments.basic_client import make_client_app
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.partition import iid, split_train_validation
from fedlearn_helpers.simulation import keep_result, simulate
from fedlearn_helpers.simulation import workers as workers_module
from fedlearn_helpers.simulation.channel import Channel
from fedlearn_helpers.simulation.workers import WorkerError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forked workers need Linux")

NUM_CLIENTS = 4
PARENT = os.getpid()


def child_processes(parent=PARENT):
    """Ids of the processes that this one started and has not waited for, zombies too."""
    children = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            after_name = stat.read_text().rpartition(")")[2].split()
            if int(after_name[1]) == parent:
                children.add(int(stat.parent.name))
    return children


@pytest.fixture(autouse=True)
def _nothing_is_left():
    """No process and no open file outlives a run, whatever happened in it."""
    children, files = child_processes(), len(os.listdir("/proc/self/fd"))
    yield
    assert child_processes() <= children
    assert len(os.listdir("/proc/self/fd")) <= files


def new_client_app(answer):
    """Each client adds its number to the model; `answer(client, message, context)` may add metrics."""
    app = ClientApp()

    @app.train()
    def train(message, context):
        client = context.node_config["partition-id"]
        metrics = {"num-examples": client + 1} | (answer(client, message, context) or {})
        arrays = ArrayRecord({"weights": Array(message.content["arrays"]["weights"].numpy() + client)})
        return Message(RecordDict({"arrays": arrays, "metrics": MetricRecord(metrics)}), reply_to=message)

    return app


def run(answer, *, num_rounds=2, strategy=None, server_app=None, **options):
    if server_app is None:
        server_app = ServerApp()

        @server_app.main()
        def main(grid, context):
            chosen = strategy or FedAvg(fraction_evaluate=0.0)
            initial = ArrayRecord({"weights": Array(np.zeros(3))})
            keep_result(chosen.start(grid=grid, initial_arrays=initial, num_rounds=num_rounds), context)

    options = {"num_clients": NUM_CLIENTS, "seed": 0, "workers": 2} | options
    return simulate(server_app, new_client_app(answer), **options)


def what_happened(history):
    arrays = history.arrays and {name: array.data for name, array in history.arrays.items()}
    return arrays, history.clients.drop(columns="seconds").to_csv()


def pid(*_):
    return {"pid": os.getpid()}


def pids_of(history):
    return {int(number) for number in history.clients["pid"]}


# The same as in one process ----------------------------------------------------------------


@pytest.fixture(scope="module")
def tutorial():
    """Run notebook 02's federation on 300 images."""
    whole = load_dataset("fashion")
    dataset = replace(whole, train_images=whole.train_images[:300], train_labels=whole.train_labels[:300])
    shards = split_train_validation(iid(300, 5, seed=0), validation_fraction=0.2, seed=0)

    def federate(workers):
        model = new_cnn(dataset.image_shape, dataset.num_classes, seed=0)
        initial = ArrayRecord(model.state_dict())
        client_app = make_client_app(dataset, shards, model, local_epochs=1, batch_size=16, learning_rate=0.001, seed=0)
        server_app = ServerApp()

        @server_app.main()
        def main(grid, context):
            strategy = FedAvg(fraction_train=0.6, min_train_nodes=3)
            keep_result(strategy.start(grid=grid, initial_arrays=initial, num_rounds=2), context)

        return what_happened(simulate(server_app, client_app, num_clients=5, seed=0, workers=workers))

    return federate


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_bits(tutorial):
    torch.rand(500, 500) @ torch.rand(500, 500)  # this process has used its threads before it forks
    here = tutorial(1)
    for workers in (2, 4):
        arrays, table = tutorial(workers)
        assert arrays == here[0], f"{workers} workers give another model"
        assert table == here[1], f"{workers} workers give other metrics"


def test_random_numbers_and_state_are_the_same():
    def answer(client, message, context):
        memory = context.state.setdefault("memory", MetricRecord({"turns": 0, "drawn": 0.0}))
        memory["turns"] += 1
        memory["drawn"] += np.random.rand() + torch.rand(1).item()
        return dict(memory)

    strategies = [FedAvg(fraction_train=0.5, fraction_evaluate=0.0) for _ in range(2)]
    here, there = (run(answer, num_rounds=5, strategy=s, workers=w) for w, s in enumerate(strategies, 1))
    assert what_happened(there) == what_happened(here)
    turns = there.clients.groupby("client")["turns"]
    assert all(list(of_client) == list(range(1, len(of_client) + 1)) for _, of_client in turns)
    assert there.clients["turns"].max() > 1


@pytest.mark.parametrize("workers", [1, 2])
def test_state_is_safe_from_what_a_strategy_does_to_replies(workers):
    client_app = ClientApp()

    @client_app.train()
    def train(message, context):
        kept = len(context.state["kept"]) if "kept" in context.state else -1
        context.state["kept"] = message.content["arrays"]
        metrics = MetricRecord({"num-examples": 1, "kept": kept})
        return Message(RecordDict({"arrays": context.state["kept"], "metrics": metrics}), reply_to=message)

    server_app = ServerApp()

    @server_app.main()
    def main(grid, context):
        initial = ArrayRecord({"weights": Array(np.zeros(3))})
        FedTrimmedAvg(fraction_evaluate=0.0).start(grid=grid, initial_arrays=initial, num_rounds=2)

    history = simulate(server_app, client_app, num_clients=3, seed=0, workers=workers)
    assert list(history.clients["kept"]) == [-1, -1, -1, 1, 1, 1]


def test_failures_with_reply_are_the_same():
    def answer(client, message, context):
        memory = context.state.setdefault("memory", MetricRecord({"turns": 0}))
        memory["turns"] += 1
        if client == 1 or (client == 3 and memory["turns"] == 2):
            message.content["arrays"].clear()
            raise ZeroDivisionError(f"client {client}")
        return dict(memory)

    here, there = (run(answer, num_rounds=3, workers=workers, on_error="reply") for workers in (1, 2))
    assert what_happened(there) == what_happened(here)
    assert list(there.failures["error"]) == [f"ZeroDivisionError: client {client}" for client in (1, 1, 3, 1, 3)]


def test_exchanges_come_in_the_order_of_clients_even_if_the_first_is_slowest():
    def answer(client, message, context):
        time.sleep(0.3 * (client == 0))

    history = run(answer, num_rounds=1, workers=4)
    assert list(history.clients["client"]) == [0, 1, 2, 3]
    assert history.clients["seconds"][0] >= 0.3


def test_clients_run_side_by_side(tmp_path):
    def answer(client, message, context):
        """Go on only when the other client runs too."""
        (tmp_path / str(client)).touch()
        deadline = time.monotonic() + 20
        while not (tmp_path / str(1 - client)).exists():
            assert time.monotonic() < deadline, "the other client did not start"
            time.sleep(0.01)

    run(answer, num_rounds=1, num_clients=2)


# What clients write ------------------------------------------------------------------------


def test_what_clients_write_comes_in_their_order(capsys):
    def answer(client, message, context):
        print(f"hello from {client}")
        time.sleep(0.2 * (client == 0))
        print(f"careful, {client}", file=sys.stderr)
        if client == 3:
            print("last words")
            raise ValueError

    run(answer, num_rounds=1, workers=4, on_error="reply")
    written = capsys.readouterr()
    lines = [f"hello from {client}" for client in range(4)] + ["last words"]
    assert written.out.splitlines()[: len(lines)] == lines
    assert written.out.count("last words") == 1
    assert written.err == "".join(f"careful, {client}\n" for client in range(4))


# When a client fails -----------------------------------------------------------------------


class BadBatch(Exception):
    """Cannot be pickled."""

    def __init__(self, size):
        super().__init__(f"a batch of size {size}")
        self.unpicklable = lambda: size

    def __reduce__(self):
        raise TypeError("this exception cannot be pickled")


def explode(client, message, context):
    if client == 2:
        raise BadBatch(-1)


def test_a_clients_exception_surfaces_as_it_is():
    with pytest.raises(BadBatch) as caught:
        run(explode)
    assert str(caught.value) == "a batch of size -1"
    (note,) = caught.value.__notes__
    assert "client 2" in note and "round 1" in note and "'train'" in note
    assert explode.__name__ in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_an_exception_that_only_workers_raise_surfaces_in_words():
    def answer(client, message, context):
        if os.getpid() != PARENT:
            raise BadBatch(client)

    with pytest.raises(RuntimeError) as caught:
        run(answer)
    assert str(caught.value) == "BadBatch: a batch of size 0"
    assert "client 0" in caught.value.__notes__[0]


def kill_own_process(client, message, context):
    if client == 1 and os.getpid() != PARENT:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_named():
    with pytest.raises(RuntimeError, match=r"worker process of client 1 died in round 1, phase 'train'"):
        run(kill_own_process)


def ask_everyone(grid, **config):
    content = RecordDict({"arrays": ArrayRecord([np.zeros(1)]), "config": ConfigRecord(config)})
    content["arrays"]["weights"] = content["arrays"].pop("0")
    return list(grid.send_and_receive([Message(content, node_id, "train") for node_id in grid.get_node_ids()]))


def serve(main, answer, **options):
    server_app = ServerApp()
    server_app.main()(main)
    return run(answer, server_app=server_app, **options)


def test_a_worker_that_is_killed_between_rounds_is_noticed():
    def main(grid, context):
        first, *_ = ask_everyone(grid)
        os.kill(first.content["metrics"]["pid"], signal.SIGKILL)
        time.sleep(0.2)
        ask_everyone(grid)

    with pytest.raises(RuntimeError, match="worker process of client . died"):
        serve(main, pid)


def test_a_server_that_goes_on_after_an_exception_gets_the_answers_to_its_new_messages():
    replies = []

    def main(grid, context):
        with pytest.raises(ValueError, match="the first batch"):
            ask_everyone(grid, batch=1)
        replies.extend(ask_everyone(grid, batch=2))

    def answer(client, message, context):
        batch = message.content["config"]["batch"]
        if batch == 1:
            if client == 0:
                raise ValueError("the first batch")
            time.sleep(0.3)
        return {"batch": batch, "client": client}

    serve(main, answer)
    answers = [reply.content["metrics"] for reply in replies]
    assert [(record["batch"], record["client"]) for record in answers] == [(2, client) for client in range(NUM_CLIENTS)]


# How many workers, and where ---------------------------------------------------------------


def test_workers_are_reused_across_rounds():
    pids = pids_of(run(pid, num_rounds=3))
    assert len(pids) == 2 and PARENT not in pids


def test_one_worker_is_this_process():
    assert pids_of(run(pid, workers=1)) == {PARENT}


@pytest.mark.parametrize("workers", [8, "auto"])
def test_there_are_no_more_workers_than_clients(workers, monkeypatch):
    monkeypatch.setattr(device, "_QUOTA", Path("/nowhere"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    started = []

    def main(grid, context):
        before = child_processes()
        started.append((ask_everyone(grid), child_processes() - before))

    serve(main, pid, workers=workers, num_clients=3)
    ((_, children),) = started
    assert len(children) == 3


def test_auto_is_one_per_core(monkeypatch):
    monkeypatch.setattr(device, "_QUOTA", Path("/nowhere"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert pids_of(run(pid, workers="auto")) == {PARENT}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5})
    pids = pids_of(run(pid, workers="auto", num_rounds=1))
    assert len(pids) <= 2 and PARENT not in pids


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("", 8),
    ],
)
def test_a_containers_quota_limits_auto(quota, expected, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(device, "_QUOTA", tmp_path / "cpu.max")
    assert device.cores() == 8  # no such file
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert device.cores() == expected


@pytest.mark.parametrize(
    ("place", "name", "value"), [(torch.cuda, "is_initialized", lambda: True), (sys, "platform", "darwin")]
)
def test_where_forking_does_not_work_there_is_one_worker(place, name, value, monkeypatch):
    monkeypatch.setattr(place, name, value)
    assert pids_of(run(pid, workers="auto")) == {PARENT}
    with pytest.raises(InputError, match="workers must be 1 or 'auto' here, because .* got 2"):
        run(pid, workers=2)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_nobody_looks_for_garbage_in_what_was_there_before_the_run(workers):
    """Flower's q-FedAvg looks after every client; and in workers, every page looked at would be copied."""

    def hidden(*_):
        return {"frozen": gc.get_freeze_count()}

    def after_a_run_inside(*_):
        run(hidden, workers=1, num_clients=2, num_rounds=1)
        return hidden()

    assert gc.get_freeze_count() == 0
    for answer in (hidden, after_a_run_inside):
        assert run(answer, workers=workers).clients["frozen"].min() > 10_000
        assert gc.get_freeze_count() == 0


# Interrupts and sudden death ---------------------------------------------------------------

SCRIPT = textwrap.dedent(
    """
    import os, signal, sys, time
    from pathlib import Path
    from flwr.app import Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp
    from fedlearn_helpers.simulation import simulate

    signal.alarm(120)  # whatever goes wrong, this process ends
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever starts the tests may ignore interrupts
    folder, patience = Path(sys.argv[1]), 60
    client_app, server_app = ClientApp(), ServerApp()

    @client_app.evaluate()
    def evaluate(message, context):
        (folder / str(os.getpid())).touch()
        time.sleep(patience)
        return Message(RecordDict(), reply_to=message)

    @server_app.main()
    def main(grid, context):
        grid.send_and_receive([Message(RecordDict(), node_id, "evaluate") for node_id in grid.get_node_ids()])

    def run():
        return simulate(server_app, client_app, num_clients=2, seed=0, workers=2)

    while True:
        try:
            run()
        except KeyboardInterrupt:
            left = [name for name in os.listdir(folder) if Path("/proc", name).exists()]
            patience = 0
            answers = len(run().exchanges)
            for name in os.listdir(folder):
                os.remove(folder / name)
            patience = 60
            print("left:", left, "answers afterwards:", answers, flush=True)  # last: now it may be interrupted again
    """
)


@pytest.fixture
def script(tmp_path):
    """A script whose two workers are busy for a minute; if interrupted, it takes stock and starts again."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, tmp_path], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        yield process
        process.kill()


def soon(condition, seconds):
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.slow
def test_interrupts_and_sudden_death_end_the_workers(script, tmp_path):
    for interrupt in (os.kill, os.killpg):  # a terminal and Jupyter interrupt the whole group
        soon(lambda: len(os.listdir(tmp_path)) == 2, 60)
        interrupt(script.pid, signal.SIGINT)
        assert script.stdout.readline() == "left: [] answers afterwards: 2\n"
    soon(lambda: len(os.listdir(tmp_path)) == 2, 10)
    workers = [int(name) for name in os.listdir(tmp_path)]
    for worker in workers:
        os.kill(worker, signal.SIGINT)
    time.sleep(0.2)
    assert all(is_running(worker) for worker in workers)  # it is the parent that decides
    script.kill()
    soon(lambda: not any(is_running(worker) for worker in workers), 5)


@pytest.fixture
def interruptible():
    """Interrupts are not ignored here, whoever started the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler, "a run has left its own handler"


def interrupt(*_):
    signal.raise_signal(signal.SIGINT)


class InterruptedAverage(FedAvg):
    def aggregate_train(self, server_round, replies):
        interrupt()
        return super().aggregate_train(server_round, replies)


def interrupt_after(function):
    def call(*arguments):
        result = function(*arguments)
        if os.getpid() == PARENT:
            interrupt()
        return result

    return call


def interrupt_parent(client, message, context):
    os.kill(PARENT, signal.SIGINT)
    time.sleep(60 * (os.getpid() != PARENT))


def add_lifespan(server_app):
    @server_app.lifespan()
    def lifespan(context):
        yield
        interrupt()


PHASES = {  # of a run, and how many workers can be interrupted in them
    "at the start": (1, 2),
    "before the fork": (2,),
    "while forking": (2,),
    "in a client": (1, 2),
    "while a client's answer is received": (2,),
    "while the server averages": (1, 2),
    "in the evaluation": (1, 2),
    "at the end": (1, 2),
    "while workers are ended": (2,),
}


@pytest.mark.slow
@pytest.mark.parametrize(("phase", "workers"), [(phase, n) for phase, some in PHASES.items() for n in some])
def test_an_interrupt_in_any_phase_leaves_nothing_and_the_next_run_works(phase, workers, interruptible, monkeypatch):
    def world():
        filters = list(logging.getLogger("flwr").filters)
        return random.getstate(), torch.get_rng_state().tolist(), torch.get_num_threads(), filters, FedAvg.start

    def evaluate(server_round, arrays):
        if phase == "in the evaluation" and server_round == 1:
            interrupt()

    def main(grid, context):
        if phase == "at the start":
            interrupt()
        strategy = (InterruptedAverage if phase == "while the server averages" else FedAvg)(fraction_evaluate=0)
        initial = ArrayRecord({"weights": Array(np.zeros(3))})
        strategy.start(grid=grid, initial_arrays=initial, num_rounds=2, evaluate_fn=evaluate)

    server_app = ServerApp()
    server_app.main()(main)
    if phase == "at the end":
        add_lifespan(server_app)
    places = {
        "before the fork": (workers_module, "_warm_up", interrupt),
        "while forking": (os, "fork", interrupt_after(os.fork)),
        "while a client's answer is received": (Channel, "receive", interrupt_after(Channel.receive)),
        "while workers are ended": (os, "kill", interrupt_after(os.kill)),
    }
    before, children = world(), child_processes()
    with monkeypatch.context() as patch:
        if phase in places:
            patch.setattr(*places[phase])
        with pytest.raises(KeyboardInterrupt):
            run(interrupt_parent if phase == "in a client" else pid, server_app=server_app, workers=workers)
    assert world() == before
    assert child_processes() == children
    assert what_happened(run(explode_never, workers=workers)) == what_happened(run(explode_never, workers=1))


def explode_never(client, message, context):
    return {"drawn": np.random.rand()}


@pytest.mark.parametrize("on_error", ["raise", "reply"])
def test_after_a_killed_worker_the_next_run_works(on_error):
    children = child_processes()
    with pytest.raises(RuntimeError, match="worker process of client 1 died") as caught:
        run(kill_own_process, on_error=on_error)
    (sentence,) = caught.value._render_traceback_()
    assert sentence.endswith("the machine may be out of memory: try fewer workers")
    assert child_processes() <= children
    assert what_happened(run(explode_never)) == what_happened(run(explode_never, workers=1))


# Workers that wait for ever ---------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(workers_module, "_SECONDS_BETWEEN_LOOKS", 0.125)
    monkeypatch.setattr(workers_module, "_PATIENCE", 0.75)


@pytest.mark.slow
def test_a_worker_that_waits_for_ever_is_named_and_ended(impatient):
    children = child_processes()
    lock = threading.Lock()
    lock.acquire()

    def answer(client, message, context):
        if client == 2 and os.getpid() != PARENT:
            lock.acquire()

    with pytest.raises(WorkerError) as caught:
        run(answer, num_rounds=1, workers=3)
    assert str(caught.value).startswith(
        "the worker process of client 2 has used no processor time for 0.75 s in round 1, phase 'train'"
    )
    assert "try workers=1" in str(caught.value)
    assert child_processes() <= children


def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def spin_in_a_process(seconds):
    pid = os.fork()
    if pid == 0:
        spin(seconds)
        os._exit(0)
    os.waitpid(pid, 0)


def sleep_twice(seconds):
    for _ in range(4):
        time.sleep(seconds / 4)
        spin(0.03)


@pytest.mark.slow
@pytest.mark.parametrize("work", [spin, spin_in_a_process, sleep_twice])
def test_a_worker_that_takes_long_is_not_taken_for_one_that_waits(work, impatient):
    history = run(lambda client, message, context: work(1.6 * (client == 0)), num_rounds=1, num_clients=2)
    assert history.clients["seconds"][0] > 1.5


OPENMP = textwrap.dedent(
    """
    import sys
    import numpy as np, torch
    from flwr.app import Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp
    from fedlearn_helpers.simulation import simulate

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(20_000, 4))

    def compute():
        if sys.argv[1] == "torch":
            torch.set_num_threads(2)
            return torch.from_numpy(inputs).repeat(10, 1).exp().sum().item()
        if sys.argv[1] == "kmeans":
            from sklearn.cluster import KMeans
            return KMeans(3, n_init=1, random_state=0).fit(inputs).inertia_
        from sklearn.ensemble import HistGradientBoostingClassifier
        model = HistGradientBoostingClassifier(max_iter=3, random_state=0)
        return model.fit(inputs, inputs.sum(axis=1) > 0).score(inputs, inputs.sum(axis=1) > 0)

    client_app, server_app = ClientApp(), ServerApp()

    @client_app.query()
    def query(message, context):
        return Message(RecordDict({"numbers": MetricRecord({"result": compute()})}), reply_to=message)

    @server_app.main()
    def main(grid, context):
        grid.send_and_receive([Message(RecordDict(), node, "query") for node in grid.get_node_ids()])

    here = compute()
    for _ in range(2):
        history = simulate(server_app, client_app, num_clients=2, seed=0, workers=2)
        assert np.allclose(history.clients["result"], here), (history.clients, here)
        assert np.isclose(compute(), here)
    print("done")
    """
)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["torch", "kmeans", "hist"])
def test_openmp_used_before_the_fork_does_not_hang_the_workers(what):
    if what != "torch":
        pytest.importorskip("sklearn")
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    script = [sys.executable, "-c", OPENMP, what]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120, env=environment)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr

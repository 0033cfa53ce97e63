"""`simulate` and its grid run Flower's own apps, strategies and mods, the same way every time."""

import logging
import random
import time
import traceback
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.mod import adaptiveclipping_mod, arrays_size_mod, fixedclipping_mod, message_size_mod
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp import strategy as flower
from flwr.supercore.task_identity import TaskIdentity

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.simulation import keep_result, simulate
from fedlearn_helpers.simulation.grid import InProcessGrid

NUM_CLIENTS = 7


def target(client):
    return float((client + 1) ** 2)


def examples(client):
    return 10 * (client + 1)


def new_arrays(value=0.0):
    return ArrayRecord({"weights": Array(np.full(4, value))})


def new_client_app(on_train=None, *, mods=None, app_mods=None):
    """Each client moves the model half-way to its own target: 1, 4, 9, …; it calls `on_train` first."""
    app = ClientApp(mods=app_mods)

    @app.train(mods=mods)
    def train(message, context):
        client = context.node_config["partition-id"]
        weights = message.content["arrays"]["weights"].numpy()
        metrics = {"loss": abs(target(client) - weights[0]), "num-examples": examples(client)}
        if on_train is not None:
            metrics |= on_train(message, context) or {}
        weights += 0.5 * (target(client) - weights)
        arrays = ArrayRecord({"weights": Array(weights)})
        return Message(RecordDict({"arrays": arrays, "metrics": MetricRecord(metrics)}), reply_to=message)

    @app.evaluate()
    def evaluate(message, context):
        client = context.node_config["partition-id"]
        weights = message.content["arrays"]["weights"].numpy()
        metrics = MetricRecord({"loss": abs(target(client) - weights[0]), "num-examples": examples(client)})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def new_server_app(strategy=None, *, num_rounds=2, keep=True, **options):
    app = ServerApp()

    @app.main()
    def main(grid, context):
        chosen = strategy or flower.FedAvg()
        result = chosen.start(grid=grid, initial_arrays=new_arrays(), num_rounds=num_rounds, **options)
        if keep:
            keep_result(result, context)

    return app


def run(server_app=None, client_app=None, **options):
    options = {"num_clients": NUM_CLIENTS, "seed": 0, "workers": 1} | options
    return simulate(server_app or new_server_app(), client_app or new_client_app(), **options)


def serve(main, client_app=None, **options):
    """Run a ServerApp with this main function."""
    server_app = ServerApp()
    server_app.main()(main)
    return run(server_app, client_app, **options)


def ask(grid, *node_ids):
    """Ask these clients to evaluate."""
    content = RecordDict({"arrays": new_arrays(), "config": ConfigRecord({"server-round": 1})})
    return list(grid.send_and_receive([Message(content, node_id, "evaluate") for node_id in node_ids]))


def final_weight(history):
    weights = history.arrays["weights"].numpy()
    assert np.all(weights == weights[0])
    return weights[0]


def without_seconds(history):
    return history.clients.drop(columns="seconds")


# Flower's interface ----------------------------------------------------------------------


def test_grid_implements_exactly_flowers_interface():
    interface = {
        "set_run",
        "run",
        "create_message",
        "get_node_ids",
        "push_messages",
        "pull_messages",
        "send_and_receive",
    }
    assert Grid.__abstractmethods__ == interface
    assert not InProcessGrid.__abstractmethods__
    assert interface <= set(vars(InProcessGrid))


# What one round from 0 gives: client k returns (k + 1)^2 / 2 and weighs k + 1.
FEDAVG, UNIFORM_MEAN, MEDIAN, TRIMMED_MEAN = 14.0, 10.0, 8.0, 9.0
STRATEGIES = {
    "FedAvg": (lambda: flower.FedAvg(), FEDAVG),
    "FedProx": (lambda: flower.FedProx(proximal_mu=0.1), FEDAVG),
    "FedAvgM": (lambda: flower.FedAvgM(server_momentum=0.9), FEDAVG),
    "FedMedian": (lambda: flower.FedMedian(), MEDIAN),
    "FedTrimmedAvg": (lambda: flower.FedTrimmedAvg(beta=0.2), TRIMMED_MEAN),
    "QFedAvg": (lambda: flower.QFedAvg(client_learning_rate=0.1, q=0.0, train_loss_key="loss"), UNIFORM_MEAN),
    "FedAdam": (lambda: flower.FedAdam(eta=0.1), None),
    "FedYogi": (lambda: flower.FedYogi(eta=0.1), None),
    "FedAdagrad": (lambda: flower.FedAdagrad(eta=0.1), None),
    "Krum": (lambda: flower.Krum(num_malicious_nodes=1), None),
    "MultiKrum": (lambda: flower.MultiKrum(num_malicious_nodes=1, num_nodes_to_select=3), None),
    "Bulyan": (lambda: flower.Bulyan(num_malicious_nodes=1), None),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_flowers_strategies_run_unchanged(name):
    new_strategy, expected = STRATEGIES[name]
    after_one = final_weight(run(new_server_app(new_strategy(), num_rounds=1)))
    history = run(new_server_app(new_strategy(), num_rounds=2))
    assert 0 < after_one < target(NUM_CLIENTS - 1)
    if expected is not None:
        assert after_one == pytest.approx(expected)
    assert final_weight(history) > after_one
    phases = [(server_round, phase) for server_round in (1, 2) for phase in ("train", "evaluate")]
    assert {key: len(table) for key, table in history.clients.groupby(["round", "phase"])} == dict.fromkeys(phases, 7)
    assert history.failures.empty


def test_server_side_clipping_runs():
    strategy = flower.DifferentialPrivacyServerSideFixedClipping(
        flower.FedAvg(), noise_multiplier=0.0, clipping_norm=1.0, num_sampled_clients=NUM_CLIENTS
    )
    assert final_weight(run(new_server_app(strategy, num_rounds=1))) == pytest.approx(0.5)


def test_replies_come_in_the_order_of_clients_whatever_the_order_of_sampling():
    asked, answered = [], []

    def main(grid, context):
        asked.extend(random.sample(grid.get_node_ids(), 5))
        answered.extend(reply.metadata.src_node_id for reply in ask(grid, *asked))

    serve(main)
    assert asked != sorted(asked)
    assert answered == sorted(asked)


def test_message_ids_come_in_the_order_of_the_messages():
    def main(grid, context):
        node_ids = grid.get_node_ids()[::-1]
        content = RecordDict({"arrays": new_arrays()})
        message_ids = grid.push_messages([grid.create_message(content, "evaluate", node, "") for node in node_ids])
        for node_id, message_id in zip(node_ids, message_ids, strict=True):
            (reply,) = grid.pull_messages([message_id])
            assert (reply.metadata.src_node_id, reply.metadata.reply_to_message_id) == (node_id, message_id)
        assert grid.pull_messages(message_ids) == []

    assert list(serve(main).clients["client"]) == list(range(NUM_CLIENTS))


# Mods ------------------------------------------------------------------------------------


def test_plain_mods_wrap_the_client_in_order():
    calls = []

    def mod(name):
        def apply(message, context, call_next):
            calls.append(f"{name} in")
            reply = call_next(message, context)
            reply.content["metrics"][name] = 1.0
            calls.append(f"{name} out")
            return reply

        return apply

    client_app = new_client_app(lambda *_: calls.append("client"), app_mods=[mod("outer")], mods=[mod("inner")])
    history = run(new_server_app(flower.FedAvg(fraction_evaluate=0.0), num_rounds=1), client_app, num_clients=2)
    assert calls == ["outer in", "inner in", "client", "inner out", "outer out"] * 2
    assert list(history.clients["outer"]) == list(history.clients["inner"]) == [1.0, 1.0]


def test_flowers_size_mods_run():
    plain = run()
    with_mods = run(client_app=new_client_app(mods=[message_size_mod, arrays_size_mod]))
    assert without_seconds(with_mods).equals(without_seconds(plain))


@pytest.mark.parametrize(
    ("mod", "wrapper"),
    [
        (fixedclipping_mod, flower.DifferentialPrivacyClientSideFixedClipping),
        (adaptiveclipping_mod, flower.DifferentialPrivacyClientSideAdaptiveClipping),
    ],
)
def test_flowers_clipping_mods_clip(mod, wrapper):
    limits = {"clipping_norm": 1.0} if mod is fixedclipping_mod else {"initial_clipping_norm": 1.0}

    def one_round(mods):
        strategy = wrapper(flower.FedAvg(), noise_multiplier=0.0, num_sampled_clients=NUM_CLIENTS, **limits)
        return final_weight(run(new_server_app(strategy, num_rounds=1), new_client_app(mods=mods)))

    assert one_round([mod]) == pytest.approx(0.5)  # every client's update has norm 1, so 1/2 in each of 4 places


def test_a_mod_that_answers_with_an_error_counts_as_raised():
    client_app = new_client_app(mods=[fixedclipping_mod])  # without the strategy that sends the clipping norm
    with pytest.raises(RuntimeError, match="clipping_norm"):
        run(client_app=client_app)
    history = run(client_app=client_app, on_error="reply")
    assert len(history.failures) == 2 * NUM_CLIENTS
    assert history.failures["error"].str.contains("clipping_norm").all()


# A client's state and its copy of the message --------------------------------------------


def count_turns(context):
    turns = context.state.setdefault("memory", MetricRecord({"turns": 0}))
    turns["turns"] += 1
    return turns["turns"]


def test_state_survives_rounds_and_belongs_to_one_client():
    strategy = flower.FedAvg(fraction_train=0.5, fraction_evaluate=0.0)
    client_app = new_client_app(lambda message, context: {"turns": count_turns(context)})
    table = run(new_server_app(strategy, num_rounds=5), client_app).clients
    assert list(table["turns"]) == list(table.groupby("client").cumcount() + 1)
    assert table["turns"].max() > 1


@pytest.mark.parametrize("workers", [1, 2])
def test_state_on_disk_is_as_good_as_in_memory(workers, tmp_path):
    def remember(message, context):
        keeps_nothing = context.node_config["partition-id"] == 3
        return {"turns": 0 if keeps_nothing else count_turns(context), "drawn": torch.rand(1).item()}

    def histories(**options):
        strategy = flower.FedAvg(fraction_train=0.5, fraction_evaluate=0.0)
        return run(new_server_app(strategy, num_rounds=5), new_client_app(remember), workers=workers, **options)

    in_memory, on_disk = histories(), histories(state_folder=tmp_path / "states")
    pd.testing.assert_frame_equal(without_seconds(on_disk), without_seconds(in_memory))
    took_part = set(in_memory.clients["client"]) - {3}
    assert {path.name for path in (tmp_path / "states").iterdir()} == {f"{client}.state" for client in took_part}


def test_a_state_folder_of_another_run_is_refused_before_anything_runs(tmp_path):
    def never(message, context):
        raise AssertionError

    (tmp_path / "3.state").touch()
    with pytest.raises(InputError, match="^state_folder must be empty, got "):
        run(client_app=new_client_app(never), state_folder=tmp_path)


def test_clients_that_do_not_take_part_cost_nothing():
    """One of 100,000 clients a round: no list of them is kept but Flower's own, and no state."""
    asked = []
    app = new_client_app(lambda message, context: asked.append(count_turns(context)))
    tracemalloc.start()
    strategy = flower.FedAvg(fraction_train=0.00001, min_train_nodes=1, fraction_evaluate=0.0)
    history = run(new_server_app(strategy), app, num_clients=100_000)
    size, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(asked) == len(history.exchanges) == 2
    assert size < 1e6
    assert peak < 20e6  # the list of all ids, which strategies ask for


def test_state_is_not_kept_when_the_client_raises():
    def fail_in_round_2(message, context):
        turns = count_turns(context)
        if message.content["config"]["server-round"] == 2:
            raise ValueError("no")
        return {"turns": turns}

    history = run(new_server_app(num_rounds=3), new_client_app(fail_in_round_2), on_error="reply")
    turns = history.clients.query("phase == 'train' and error.isna()")
    assert {key: set(table["turns"]) for key, table in turns.groupby("round")} == {1: {1}, 3: {2}}


def test_state_can_be_emptied():
    def alternate(message, context):
        known = "memory" in context.state
        if known:
            del context.state["memory"]
        else:
            count_turns(context)
        return {"known": int(known)}

    table = run(new_server_app(num_rounds=3), new_client_app(alternate), num_clients=2).clients
    assert list(table.query("phase == 'train'")["known"]) == [0, 0, 1, 1, 0, 0]


def test_what_a_strategy_does_to_a_reply_does_not_reach_the_clients_state():
    seen = []
    app = ClientApp()

    @app.train()
    def train(message, context):
        seen.append(len(context.state["kept"]) if "kept" in context.state else None)
        context.state["kept"] = new_arrays(1.0)
        reply = RecordDict({"arrays": context.state["kept"], "metrics": MetricRecord({"num-examples": 1})})
        return Message(reply, reply_to=message)

    run(new_server_app(flower.FedTrimmedAvg(fraction_evaluate=0.0)), app, num_clients=2)  # it empties the replies
    assert seen == [None, None, 1, 1]


def test_each_client_gets_its_own_copy_of_the_message():
    received = []

    def vandalize(message, context):
        weights = message.content["arrays"]["weights"].numpy()
        received.append((weights[0], message.content["config"]["server-round"], set(message.content)))
        weights += 1000.0
        message.content["arrays"]["weights"] = Array(weights)
        message.content["config"]["server-round"] = 99
        message.content["more"] = ConfigRecord()

    run(new_server_app(num_rounds=1), new_client_app(vandalize))
    assert received == [(0.0, 1, {"arrays", "config"})] * NUM_CLIENTS


# Randomness ------------------------------------------------------------------------------


def sampled(seed):
    strategy = flower.FedAvg(fraction_train=0.5)
    table = run(new_server_app(strategy, num_rounds=4), num_clients=10, seed=seed).clients.query("phase == 'train'")
    return [tuple(of_round["client"]) for _, of_round in table.groupby("round")]


def test_sampling_depends_on_the_seed_alone():
    first = sampled(3)
    random.seed(12345)
    assert sampled(3) == first
    assert sampled(4) != first
    assert [len(clients) for clients in first] == [5, 5, 5, 5]
    assert len(set(first)) > 1


def draw(*_):
    return {"python": random.random(), "numpy": float(np.random.rand()), "torch": torch.rand(1).item()}


def test_clients_have_their_own_random_numbers_in_every_round():
    table = run(client_app=new_client_app(draw)).clients.query("phase == 'train'")
    for name in ("python", "numpy", "torch"):
        assert table[name].nunique() == 2 * NUM_CLIENTS


def test_a_clients_random_numbers_do_not_depend_on_who_else_is_asked():
    def main(grid, context):
        content = RecordDict({"arrays": new_arrays(), "config": ConfigRecord({"server-round": 1})})
        grid.send_and_receive([Message(content, grid.get_node_ids()[5], "train")])

    everyone = run(client_app=new_client_app(draw)).clients.query("round == 1 and phase == 'train' and client == 5")
    alone = serve(main, new_client_app(draw)).clients
    assert alone[["python", "numpy", "torch"]].to_numpy().tolist() == (
        everyone[["python", "numpy", "torch"]].to_numpy().tolist()
    )


def test_same_seed_same_bits():
    def noise(message, context):
        message.content["arrays"]["weights"] = Array(np.random.rand(4))
        return draw()

    def bits(seed):
        history = run(new_server_app(flower.FedAvg(fraction_train=0.5)), new_client_app(noise), seed=seed)
        return history.arrays["weights"].data, without_seconds(history)

    (arrays, table), (again_arrays, again_table), (other_arrays, other_table) = bits(1), bits(1), bits(2)
    assert again_arrays == arrays and again_table.equals(table)
    assert other_arrays != arrays and not other_table.equals(table)


@pytest.mark.parametrize("culprit", [None, "client", "server"])
def test_the_callers_world_is_restored(culprit, monkeypatch):
    def fail(where):
        draw()
        if where == culprit:
            raise ValueError(where)

    def main(grid, context):
        assert len(logging.getLogger("flwr").filters) == 1
        assert TaskIdentity._task_id != 71
        ask(grid, *grid.get_node_ids())
        fail("server")

    client_app = ClientApp()

    @client_app.evaluate()
    def evaluate(message, context):
        assert torch.get_num_threads() == 1
        fail("client")
        return Message(RecordDict({"metrics": MetricRecord({"num-examples": 1})}), reply_to=message)

    def world():
        identity = TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id
        generators = repr((random.getstate(), np.random.get_state())), torch.get_rng_state().tolist()
        logger = logging.getLogger("flwr")
        return generators, identity, logger.level, list(logger.filters), torch.get_num_threads()

    for name, value in (("_task_id", 71), ("_run_id", 72), ("_node_id", None)):
        monkeypatch.setattr(TaskIdentity, name, value)
    monkeypatch.setattr(logging.getLogger("flwr"), "level", logging.DEBUG)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        before = world()
        if culprit is None:
            serve(main, client_app)
        else:
            with pytest.raises(ValueError, match=culprit):
                serve(main, client_app)
        assert world() == before
    finally:
        torch.set_num_threads(threads)


# When a client fails ---------------------------------------------------------------------


class BadBatch(Exception):
    pass


def fail_at_client_2(message, context):
    if context.node_config["partition-id"] == 2:
        raise BadBatch("a batch of size -1")


def test_a_clients_exception_surfaces_as_it_is():
    with pytest.raises(BadBatch) as caught:
        run(client_app=new_client_app(fail_at_client_2))
    assert str(caught.value) == "a batch of size -1"
    (note,) = caught.value.__notes__
    assert "client 2" in note and "round 1" in note and "'train'" in note
    assert fail_at_client_2.__name__ in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_with_reply_the_run_goes_on_without_the_client(capsys):
    history = run(client_app=new_client_app(fail_at_client_2), on_error="reply")
    assert list(history.rounds["failures"]) == [1, 1]
    assert list(history.rounds["clients"]) == [7, 7]
    failures = history.failures[["round", "phase", "client", "error", "bytes_up"]]
    assert failures.to_dict("records") == [
        {"round": n, "phase": "train", "client": 2, "error": "BadBatch: a batch of size -1", "bytes_up": 0}
        for n in (1, 2)
    ]
    others = [client for client in range(NUM_CLIENTS) if client != 2]
    average = np.average([target(client) for client in others], weights=[examples(client) for client in others])
    assert final_weight(history) == pytest.approx(0.75 * average)
    assert "2 of 28 messages to clients failed" in capsys.readouterr().out


def test_when_every_client_fails_the_initial_model_stays():
    def fail(message, context):
        raise BadBatch("no")

    seen = []
    server_app = new_server_app(evaluate_fn=lambda _, arrays: seen.append(arrays["weights"].numpy().max()))
    history = run(server_app, new_client_app(fail), on_error="reply")
    assert seen == [0.0, 0.0, 0.0]
    assert history.arrays is None
    assert len(history.failures) == 2 * NUM_CLIENTS
    assert "train_loss" not in history.rounds and "evaluate_loss" in history.rounds


@pytest.mark.parametrize("answer", [None, RecordDict()])
def test_an_answer_that_is_no_message_is_the_clients_mistake(answer):
    client_app = ClientApp()
    client_app.train()(lambda message, context: answer)
    with pytest.raises(TypeError, match="must return a Message, got") as caught:
        run(client_app=client_app)
    assert "client 0" in caught.value.__notes__[0]


def test_a_missing_function_is_named():
    with pytest.raises(ValueError, match="No train function registered"):
        run(client_app=ClientApp())


# Mistakes in the arguments ---------------------------------------------------------------


WHOLE = "a whole number >= "
OF_SERVER = "a ServerApp, in whose main function the strategy starts, got "
BAD_ARGUMENTS = {
    "num_clients": (f"num_clients must be {WHOLE}1, got ", [0, -1, 2.5, True, "3", float("nan"), None, [3]]),
    "seed": ("seed must be ", [-1, 0.0, True, "0", float("nan"), None, [0], 2**63]),
    "workers": (f"workers must be 'auto' or {WHOLE}1, got ", [0, -1, 1.5, True, "many", "2", float("nan"), None, [1]]),
    "on_error": ("on_error must be 'raise' or 'reply', got ", ["x", "", None, True, 1, ["raise"]]),
    "states": ("states must be a dictionary that can be changed, or None, got ", [[], (), "x", 3, True, "folder"]),
    "state_folder": ("state_folder must be a path or None, got ", [3, True, b"folder", ["folder"]]),
    "label": ("label must be a string or None, got ", [3, True, ["Round"]]),
    "run_config": (
        "run_config must be a dictionary of numbers, strings and such dictionaries, ",
        ["x", 3, [1], {"a": [1]}],
    ),
    "node_config": ("node_config must ", [{}, "x", 3, [], [{}]]),
    "server_app": (
        f"server_app must be {OF_SERVER}",
        [flower.FedAvg(), ServerApp, None, lambda grid, context: 0],
    ),
    "client_app": (
        "client_app must be a ClientApp, whose functions stand below @client_app.train() …, got ",
        [
            ClientApp,
            None,
            lambda context: 0,
            ServerApp(),
        ],
    ),
}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [(name, value, sentence) for name, (sentence, values) in BAD_ARGUMENTS.items() for value in values],
)
def test_bad_arguments_are_named_before_anything_runs(name, value, sentence, tmp_path):
    def never(*_):
        raise AssertionError("it ran")

    folder = tmp_path / "states"
    options = {"server_app": new_server_app(), "client_app": new_client_app(never), "num_clients": 2, "seed": 0}
    with pytest.raises(InputError) as caught:
        simulate(**options | ({} if name.startswith("state") else {"state_folder": folder}) | {name: value})
    assert str(caught.value).startswith(sentence)
    assert str(caught.value).count("\n") == 0
    assert not folder.exists()


@pytest.mark.parametrize("number", [np.int64(2), np.uint8(2)])
def test_whole_numbers_may_be_numpys(number):
    plain = run(client_app=new_client_app(draw), num_clients=2, seed=2)
    of_numpy = run(client_app=new_client_app(draw), num_clients=number, seed=number, workers=np.int64(1))
    assert without_seconds(of_numpy).equals(without_seconds(plain))


@pytest.mark.parametrize("old", [{"server_fn": lambda context: None}, {}])
def test_a_server_app_of_the_old_form_is_refused(old):
    with pytest.raises(InputError, match=r"@server_app\.main\(\) above def main\(grid, context\): …, where strategy"):
        run(ServerApp(**old))


# A server that waits, and one that does not -----------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on only when somebody sleeps."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def sleep(seconds):
        clock[0] += seconds

    monkeypatch.setattr("flwr.serverapp.strategy.strategy_utils.sleep", sleep)
    clock.append(sleep)
    return clock


@pytest.mark.parametrize("option", ["min_available_nodes", "min_train_nodes", "min_evaluate_nodes"])
def test_a_strategy_that_waits_for_more_clients_than_there_are_is_stopped_at_once(option, clock):
    with pytest.raises(InputError, match=f"more clients than num_clients={NUM_CLIENTS}: .*, got {NUM_CLIENTS + 1}$"):
        run(new_server_app(flower.FedAvg(**{option: NUM_CLIENTS + 1})))
    assert clock[0] == 0


@pytest.mark.parametrize("pause", [0.05, 1, 5])
def test_a_server_that_waits_by_itself_is_stopped(pause, clock):
    def main(grid, context):
        while len(grid.get_node_ids()) < NUM_CLIENTS + 1:
            clock[1](pause)

    with pytest.raises(InputError, match="in 60 different seconds and sent no message: it seems to wait for more"):
        serve(main)
    assert 59 <= clock[0] <= 300


@pytest.mark.parametrize(("times", "pause"), [(5, 1), (40, 1), (30, 60), (1000, 0.01)])
def test_a_server_that_asks_now_and_then_is_not_waiting(times, pause, clock):
    def main(grid, context):
        for _ in range(3):
            for _ in range(times):
                node_ids = grid.get_node_ids()
                clock[1](pause)
            ask(grid, *node_ids)

    assert len(serve(main).exchanges) == 3 * NUM_CLIENTS


def test_to_ask_while_clients_are_at_work_is_not_waiting(clock):
    def main(grid, context):
        def poll(message, _):
            for _ in range(30):
                grid.get_node_ids()
                clock[1](5)

        polling.append(poll)
        ask(grid, *grid.get_node_ids())

    polling = []
    client_app = ClientApp()

    @client_app.evaluate()
    def evaluate(message, context):
        polling[0](message, context)
        return Message(RecordDict(), reply_to=message)

    assert len(serve(main, client_app).exchanges) == NUM_CLIENTS


# Threads ----------------------------------------------------------------------------------


def in_a_thread(function):
    """Return what a function returns, or the error that it raises, in another thread."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(function)
    return future.exception() or future.result()


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_second_run_in_another_thread_is_refused_and_the_first_goes_on(who):
    refused = []

    def try_another(*_):
        state = random.getstate(), torch.get_num_threads()
        refused.append(in_a_thread(run))
        assert (random.getstate(), torch.get_num_threads()) == state

    def main(grid, context):
        if who == "server":
            try_another()
        ask(grid, *grid.get_node_ids())

    def evaluate(message, context):
        if who == "client" and not refused:
            try_another()
        return Message(RecordDict({"metrics": MetricRecord(draw())}), reply_to=message)

    client_app = ClientApp()
    client_app.evaluate()(evaluate)
    history = serve(main, client_app)
    assert isinstance(refused[0], InputError) and "simulate is at work in another thread" in str(refused[0])
    assert without_seconds(history).equals(without_seconds(serve(main, client_app)))
    assert len(in_a_thread(run).exchanges) == 4 * NUM_CLIENTS  # one after the other is no trouble


@pytest.mark.parametrize("where", ["client", "server"])
def test_a_run_inside_a_run_changes_neither(where):
    """In one thread they take turns."""
    inside = []

    def nested():
        inside.append(run(client_app=new_client_app(draw), seed=5, num_clients=2))
        return draw()

    def main(grid, context):
        if where == "server":
            nested()
        inside.append(random.random())
        ask(grid, *grid.get_node_ids())

    client_app = ClientApp()

    @client_app.evaluate()
    def evaluate(message, context):
        numbers = nested() if where == "client" and context.node_config["partition-id"] == 1 else draw()
        return Message(RecordDict({"metrics": MetricRecord(numbers)}), reply_to=message)

    outer = serve(main, client_app)
    (alone,) = [run(client_app=new_client_app(draw), seed=5, num_clients=2)]
    (history,) = [it for it in inside if not isinstance(it, float)]
    assert without_seconds(history).equals(without_seconds(alone)) and final_weight(history) == final_weight(alone)
    where, inside = None, []
    plain = serve(main, client_app)
    assert without_seconds(outer)["numpy"].equals(without_seconds(plain)["numpy"])


def test_messages_from_a_second_thread_are_refused_and_end_the_run():
    refused = []

    def main(grid, context):
        def from_another_thread():
            refused.append(in_a_thread(lambda: ask(grid, grid.get_node_ids()[0])))

        from_clients.append(from_another_thread)
        ask(grid, *grid.get_node_ids())

    from_clients = []
    client_app = ClientApp()

    @client_app.evaluate()
    def evaluate(message, context):
        from_clients[0]()
        return Message(RecordDict(), reply_to=message)

    with pytest.raises(InputError, match="one batch of messages after the other, from one thread"):
        serve(main, client_app)
    assert isinstance(refused[0], InputError)


def test_messages_from_threads_one_after_the_other_arrive():
    def main(grid, context):
        for node_id in grid.get_node_ids():
            in_a_thread(lambda node_id=node_id: ask(grid, node_id))

    assert list(serve(main).clients["client"]) == list(range(NUM_CLIENTS))


@pytest.mark.parametrize("node_id", [3, 10**6])
def test_a_message_to_nobody_is_refused(node_id):
    with pytest.raises(InputError, match=f"dst_node_id .* got {node_id}"):
        serve(lambda grid, context: ask(grid, node_id))


# What apps are told ----------------------------------------------------------------------


def test_run_config_reaches_server_and_clients():
    config, seen = {"learning-rate": 0.1, "num-server-rounds": 1}, []

    def main(grid, context: Context):
        seen.append(dict(context.run_config))
        context.run_config["learning-rate"] = 9.9
        ask(grid, *grid.get_node_ids())

    client_app = ClientApp()

    @client_app.evaluate()
    def evaluate(message, context):
        seen.append(dict(context.run_config))
        context.run_config.clear()
        assert context.node_config["num-partitions"] == 2
        return Message(RecordDict(), reply_to=message)

    serve(main, client_app, num_clients=2, run_config=config)
    assert seen == [{"learning-rate": 0.1, "num-server-rounds": 1}] * 3
    assert config == {"learning-rate": 0.1, "num-server-rounds": 1}


# The history of a run --------------------------------------------------------------------


def test_bytes_are_those_of_the_serialized_arrays():
    size = len(new_arrays()["weights"].data)
    assert size > 4 * 8  # four float64 and Flower's header
    history = run(new_server_app(num_rounds=3))
    assert list(history.rounds["bytes_down"]) == [2 * NUM_CLIENTS * size] * 3  # to train and to evaluate
    assert list(history.rounds["bytes_up"]) == [NUM_CLIENTS * size] * 3
    assert (history.bytes_down, history.bytes_up) == (6 * NUM_CLIENTS * size, 3 * NUM_CLIENTS * size)


def test_bytes_sent_count_even_if_the_client_takes_the_message_apart():
    def take_apart(message, context):
        message.content["arrays"].clear()

    table = run(client_app=new_client_app(take_apart)).clients
    assert set(table["bytes_down"]) == {len(new_arrays()["weights"].data)}


def test_the_last_model_and_the_servers_metrics_are_kept():
    models = []

    def evaluate(server_round, arrays):
        models.append(arrays["weights"].data)
        return MetricRecord({"loss": 10.0 - server_round, "late": 1} if server_round else {"loss": 10.0})

    history = run(new_server_app(num_rounds=2, evaluate_fn=evaluate))
    assert history.server_metrics == {0: {"loss": 10.0}, 1: {"loss": 9.0, "late": 1}, 2: {"loss": 8.0, "late": 1}}
    assert list(history.rounds.index) == [0, 1, 2]
    assert list(history.rounds["server_loss"]) == [10.0, 9.0, 8.0]
    assert list(history.rounds["clients"]) == [0, 7, 7]
    assert history.arrays["weights"].data == models[-1]


def test_without_keep_result_the_history_is_the_same():
    evaluate = {"evaluate_fn": lambda server_round, arrays: MetricRecord({"loss": 1.0 + server_round})}
    history, kept = (run(new_server_app(keep=keep, **evaluate)) for keep in (False, True))
    assert history.arrays == kept.arrays and history.aggregated == kept.aggregated
    assert history.server_metrics == {0: {"loss": 1.0}, 1: {"loss": 2.0}, 2: {"loss": 3.0}}
    assert len(history.exchanges) == 4 * NUM_CLIENTS
    assert history.seconds > 0


def test_rounds_average_over_examples():
    losses = [target(client) for client in range(NUM_CLIENTS)]
    after = [abs(target(client) - FEDAVG) for client in range(NUM_CLIENTS)]
    weights = [examples(client) for client in range(NUM_CLIENTS)]
    for kept in (True, False):  # what Flower's strategy averaged, and what the history makes of the replies
        row = run(new_server_app(num_rounds=1, keep=kept)).rounds.loc[1]
        assert row["train_loss"] == pytest.approx(np.average(losses, weights=weights))
        assert row["evaluate_loss"] == pytest.approx(np.average(after, weights=weights))
        assert row["train_loss"] != pytest.approx(np.mean(losses), rel=0.1)

"""Apps as others write them for Flower: the right numbers, the same with one worker and with two."""

import logging
import random
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.mod import LocalDpMod, arrays_size_mod, fixedclipping_mod
from flwr.common import log
from flwr.common.config import flatten_dict
from flwr.common.logger import console_handler
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import DifferentialPrivacyClientSideFixedClipping, FedAvg, Result

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.simulation import History, keep_result, simulate

CLIENTS = 3
# The first numbers that three clients draw, in rounds 1 and 2, and without a round; with seed 0.
NAMED = [0.9475233963945785, 0.08567248216556533, 0.310613830287221]
NAMED += [0.7132989511764863, 0.5509703153244215, 0.7318394479483212]
UNNAMED = [0.9064067835325352, 0.9891566971902304, 0.7209569589709627]
WORKERS = (1, pytest.param(2, marks=pytest.mark.skipif(sys.platform != "linux", reason="forked workers need Linux")))


@dataclass
class App:
    """Two apps, what the server noted down, and what must have come of it."""

    server: ServerApp
    client: ClientApp
    noted: list
    check: Callable[[History, list], None]


def arrays_of(*values):
    return ArrayRecord([np.array(values)])


def number_of(context):
    return context.node_config["partition-id"]


def messages(grid, kind, content=None, group=""):
    return [grid.create_message(content or RecordDict(), kind, node, group) for node in grid.get_node_ids()]


def ask(grid, kind, content=None, group=""):
    return list(grid.send_and_receive(messages(grid, kind, content, group)))


def run(app, **options):
    return simulate(app.server, app.client, **{"num_clients": CLIENTS, "seed": 0, "workers": 1} | options)


def main_of(function):
    server = ServerApp()
    server.main()(function)
    return server


def answering(function, kind="train"):
    """Return a ClientApp that answers with a dictionary of numbers."""
    client = ClientApp()

    @getattr(client, kind)()
    def answer(message, context):
        return Message(RecordDict({"metrics": MetricRecord(function(message, context) or {})}), reply_to=message)

    return client


# The apps ----------------------------------------------------------------------------------


def with_numpy():
    """A strategy and clients that add noise and count examples; nobody calls `keep_result`."""
    client = ClientApp()

    @client.train()
    def train(message, context):
        (weights,) = message.content["arrays"].to_numpy_ndarrays()
        number = number_of(context)
        metrics = MetricRecord({"num-examples": number + 1, "drawn": np.random.rand()})
        reply = RecordDict({"arrays": arrays_of(*(weights + number)), "metrics": metrics})
        return Message(reply, reply_to=message)

    @client.evaluate()
    def evaluate(message, context):
        weight = message.content["arrays"].to_numpy_ndarrays()[0][0]
        return Message(RecordDict({"m": MetricRecord({"num-examples": 1, "w": float(weight)})}), reply_to=message)

    def main(grid, context):
        def on_server(server_round, arrays):
            return MetricRecord({"w": float(arrays.to_numpy_ndarrays()[0][0])})

        FedAvg().start(grid=grid, initial_arrays=arrays_of(0.0, 0.0), num_rounds=2, evaluate_fn=on_server)

    def check(history, _):
        step = (0 * 1 + 1 * 2 + 2 * 3) / 6
        assert history.arrays.to_numpy_ndarrays()[0] == pytest.approx([2 * step] * 2)
        assert list(history.rounds["server_w"]) == pytest.approx([0, step, 2 * step])
        assert list(history.rounds["evaluate_w"])[1:] == pytest.approx([step, 2 * step])
        assert history.clients.query("phase == 'train'")["drawn"].nunique() == 2 * CLIENTS

    return App(main_of(main), client, [], check)


def with_sklearn():
    """Logistic regressions whose coefficients are averaged."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    client = ClientApp()

    @client.train()
    def train(message, context):
        rng = np.random.default_rng(number_of(context))
        inputs = rng.normal(size=(40, 2))
        model = linear_model.LogisticRegression().fit(inputs, inputs.sum(axis=1) > 0)
        metrics = MetricRecord({"num-examples": 40, "accuracy": float(model.score(inputs, inputs.sum(axis=1) > 0))})
        return Message(RecordDict({"a": ArrayRecord([model.coef_]), "m": metrics}), reply_to=message)

    def main(grid, context):
        FedAvg(fraction_evaluate=0).start(grid=grid, initial_arrays=ArrayRecord([np.zeros((1, 2))]), num_rounds=1)

    def check(history, _):
        assert (history.arrays.to_numpy_ndarrays()[0] > 0.5).all()
        assert history.rounds["train_accuracy"][1] > 0.9

    return App(main_of(main), client, [], check)


def analytics():
    """Questions without a round in their config: histograms that the server adds."""

    def histogram(message, context):
        values = np.random.default_rng(number_of(context)).integers(0, 4, 20)
        return {"counts": np.bincount(values, minlength=4).tolist(), "noise": random.random()}

    noted = []

    def main(grid, context):
        for server_round in (1, 2):
            replies = ask(grid, "query", group=str(server_round))
            noted.append(np.sum([reply.content["metrics"]["counts"] for reply in replies], axis=0).tolist())

    def check(history, noted):
        assert noted[0] == noted[1] and sum(noted[0]) == 20 * CLIENTS
        assert list(history.clients["round"]) == [1] * CLIENTS + [2] * CLIENTS
        assert history.clients["noise"].nunique() == 2 * CLIENTS
        assert list(history.rounds.index) == [1, 2]

    return App(main_of(main), answering(histogram, "query"), noted, check)


def vertical():
    """Push and pull, actions with names of their own, and bytes in the clients' state."""
    client, noted = ClientApp(), []

    @client.query("embed")
    def embed(message, context):
        number = number_of(context)
        held = context.state.setdefault("held", ConfigRecord({"weight": np.float64(number).tobytes()}))
        embedding = np.frombuffer(held["weight"]) * (number + 1)
        return Message(RecordDict({"embedding": ArrayRecord([embedding])}), reply_to=message)

    @client.train("gradient")
    def apply(message, context):
        held = context.state["held"]
        held["weight"] = (np.frombuffer(held["weight"]) - message.content["gradient"].to_numpy_ndarrays()[0]).tobytes()
        return Message(RecordDict(), reply_to=message)

    def main(grid, context):
        for _ in range(3):
            waiting = set(grid.push_messages(messages(grid, "query.embed")))
            replies = []
            while waiting:
                pulled = list(grid.pull_messages(waiting))
                waiting -= {reply.metadata.reply_to_message_id for reply in pulled}
                replies += pulled
            noted.append(sum(reply.content["embedding"].to_numpy_ndarrays()[0][0] for reply in replies))
            grid.push_messages(messages(grid, "train.gradient", RecordDict({"gradient": arrays_of(1.0)})))

    def check(history, noted):
        assert noted == [0 * 1 + 1 * 2 + 2 * 3 - step * (1 + 2 + 3) for step in range(3)]
        assert set(history.clients["phase"]) == {"query.embed", "train.gradient"}

    return App(main_of(main), client, noted, check)


def clipping():
    """Flower's clipping on the clients, without noise at the server."""
    client = ClientApp()

    @client.train(mods=[fixedclipping_mod])
    def train(message, context):
        (weights,) = message.content["arrays"].to_numpy_ndarrays()
        reply = RecordDict({"arrays": arrays_of(*(weights + 10)), "metrics": MetricRecord({"num-examples": 1})})
        return Message(reply, reply_to=message)

    def main(grid, context):
        strategy = DifferentialPrivacyClientSideFixedClipping(
            FedAvg(fraction_evaluate=0), noise_multiplier=0, clipping_norm=1.0, num_sampled_clients=CLIENTS
        )
        strategy.start(grid=grid, initial_arrays=arrays_of(0.0, 0.0, 0.0, 0.0), num_rounds=2)

    def check(history, _):
        assert history.arrays.to_numpy_ndarrays()[0] == pytest.approx([1.0] * 4)  # two steps of norm 1 in 4 places

    return App(main_of(main), client, [], check)


def local_noise():
    """Flower's local differential privacy, whose noise comes from NumPy's global generator, and mods of one's own."""
    noted = []

    def label(message, context, call_next):
        message.content["config"]["label"] = f"client {number_of(context)}"
        reply = call_next(message, context)
        reply.content["metrics"]["labelled"] = 1
        return reply

    client = ClientApp(mods=[label])

    @client.train(mods=[LocalDpMod(clipping_norm=1.0, sensitivity=1.0, epsilon=10.0, delta=1e-5)])
    def train(message, context):
        assert message.content["config"]["label"] == f"client {number_of(context)}"
        metrics = MetricRecord({"num-examples": 1})
        (weights,) = message.content["arrays"].to_numpy_ndarrays()
        return Message(RecordDict({"arrays": arrays_of(*(weights + 1)), "metrics": metrics}), reply_to=message)

    def main(grid, context):
        for _ in range(2):  # without a round in the config
            content = RecordDict({"arrays": arrays_of(0.0, 1.0), "config": ConfigRecord()})
            noted.append([reply.content["arrays"]["0"].numpy().tolist() for reply in ask(grid, "train", content)])

    def check(history, noted):
        assert len({tuple(noise) for batch in noted for noise in batch}) == 2 * CLIENTS
        assert history.clients["labelled"].sum() == 2 * CLIENTS

    return App(main_of(main), client, noted, check)


def lifespans():
    """What comes before and after the functions of both apps."""
    noted = []
    client = answering(lambda message, context: {"opened": int("opened" in context.state)}, "evaluate")

    @client.lifespan()
    def of_client(context):
        context.state["opened"] = ConfigRecord()
        yield
        del context.state["opened"]

    server = main_of(lambda grid, context: noted.append(len(ask(grid, "evaluate"))))

    @server.lifespan()
    def of_server(context):
        noted.append("opened")
        yield
        noted.append("closed")

    def check(history, noted):
        assert noted == ["opened", CLIENTS, "closed"]
        assert list(history.clients["opened"]) == [1] * CLIENTS

    return App(server, client, noted, check)


def secure_sum():
    """Masked numbers as byte strings in config records; the masks cancel in the sum."""
    noted = []
    client = ClientApp()

    @client.query()
    def masked(message, context):
        number = number_of(context)
        total = np.full(4, number + 1, dtype=np.uint32)
        for other in range(CLIENTS):
            mask = np.random.default_rng([min(number, other), max(number, other)]).integers(0, 2**32, 4, np.uint32)
            total += mask * np.uint32(other > number) - mask * np.uint32(other < number)
        parts = [total[:2].tobytes(), total[2:].tobytes()]
        reply = ConfigRecord({"parts": parts, "alive": True, "seeds": [1.5, 2.5], "key": b"public"})
        return Message(RecordDict({"reply": reply}), reply_to=message)

    def main(grid, context):
        question = RecordDict({"config": ConfigRecord({"key": b"12"})})
        replies = [reply.content["reply"] for reply in ask(grid, "query", question)]
        assert all(reply["alive"] is True and reply["seeds"] == [1.5, 2.5] for reply in replies)
        vectors = [np.frombuffer(b"".join(reply["parts"]), np.uint32) for reply in replies]
        noted.append(np.sum(vectors, axis=0, dtype=np.uint32).tolist())

    def check(history, noted):
        assert noted == [[1 + 2 + 3] * 4]
        assert set(history.clients["bytes_down"]) == {2}
        assert set(history.clients["bytes_up"]) == {4 * 4 + len(b"public")}

    return App(main_of(main), client, noted, check)


class OwnStart(FedAvg):
    """Two rounds written out, and no word to the base class."""

    def start(self, grid, initial_arrays, num_rounds=3, timeout=3600, train_config=None, **more):
        result = Result(arrays=initial_arrays)
        for server_round in range(1, num_rounds + 1):
            asked = self.configure_train(server_round, result.arrays, train_config or ConfigRecord(), grid)
            arrays, metrics = self.aggregate_train(server_round, grid.send_and_receive(asked))
            result.arrays, result.train_metrics_clientapp[server_round] = arrays, metrics
        return result


def own_start():
    """A strategy with a loop of its own, and clients that remember."""

    def main(grid, context):
        OwnStart().start(grid, arrays_of(0.0), num_rounds=2)

    client = ClientApp()

    @client.train()
    def train(message, context):
        turns = context.state.setdefault("turns", MetricRecord({"count": 0}))
        turns["count"] += 1
        (weights,) = message.content["arrays"].to_numpy_ndarrays()
        metrics = MetricRecord({"num-examples": 1, "turns": turns["count"]})
        return Message(RecordDict({"a": arrays_of(*(weights + turns["count"])), "m": metrics}), reply_to=message)

    def check(history, _):
        assert history.arrays.to_numpy_ndarrays()[0] == pytest.approx([1 + 2])
        assert history.aggregated["train"] == {1: {"turns": pytest.approx(1)}, 2: {"turns": pytest.approx(2)}}

    return App(main_of(main), client, [], check)


APPS = [with_numpy, with_sklearn, analytics, vertical, clipping, local_noise, lifespans, secure_sum, own_start]


@pytest.mark.slow
@pytest.mark.parametrize("new_app", APPS)
def test_an_app_gives_the_right_numbers_with_any_number_of_workers(new_app):
    seen = []
    for workers in (1, 2) if sys.platform == "linux" else (1,):
        app = new_app()
        history = run(app, workers=workers)
        app.check(history, app.noted)
        arrays = history.arrays and [array.tobytes() for array in history.arrays.to_numpy_ndarrays()]
        seen.append((history.clients.drop(columns="seconds").to_csv(), app.noted, arrays))
    assert seen[1:] == seen[:-1]


# Rounds and seeds ---------------------------------------------------------------------------


def drawn(main, workers=1):
    """Return the table of clients that answer with a random number and how often they were asked."""

    def draw(message, context):
        turns = context.state.setdefault("turns", MetricRecord({"count": 0}))
        turns["count"] += 1
        return {"drawn": np.random.rand(), "turns": turns["count"]}

    return run(App(main_of(main), answering(draw), [], None), workers=workers).clients


def in_round(server_round):
    return RecordDict({"config": ConfigRecord({"server-round": server_round})})


@pytest.mark.parametrize("group", ["", "{}"])
def test_messages_that_name_no_round_have_new_random_numbers_every_time(group):
    table = drawn(lambda grid, context: [ask(grid, "train", group=group.format(n)) for n in (1, 2, 3)])
    assert table["drawn"].nunique() == 3 * CLIENTS
    assert list(table["round"]) == [n if group else 0 for n in (1, 2, 3) for _ in range(CLIENTS)]


def test_the_first_random_numbers_are_what_they_were():
    """Whoever changes these changes the numbers of every app."""
    named = drawn(lambda grid, context: [ask(grid, "train", in_round(n)) for n in (1, 2)])
    assert list(named["drawn"]) == pytest.approx(NAMED, abs=1e-12)
    unnamed = drawn(lambda grid, context: ask(grid, "train"))
    assert list(unnamed["drawn"]) == pytest.approx(UNNAMED, abs=1e-12)


def test_a_round_asked_again_has_the_same_random_numbers():
    table = drawn(lambda grid, context: [ask(grid, "train", in_round(n)) for n in (1, 2, 1)])
    first, second, again = np.split(table["drawn"].to_numpy(), 3)
    assert (again == first).all() and (second != first).all()


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("content", [RecordDict(), in_round(4)])
def test_two_messages_to_one_client_in_one_batch_are_two_turns(content, workers):
    replies = []

    def main(grid, context):
        first, second, third = grid.get_node_ids()
        batch = [grid.create_message(content, "train", node, "") for node in (second, first, second, third, second)]
        ids = grid.push_messages(batch)
        replies.extend(grid.pull_messages([message_id])[0] for message_id in ids)

    table = drawn(main, workers)
    assert list(table["client"]) == [0, 1, 1, 1, 2]
    assert list(table["turns"]) == [1, 1, 2, 3, 1]
    assert table["drawn"].nunique() == 5
    assert [reply.content["metrics"]["turns"] for reply in replies] == [1, 1, 2, 1, 3]
    assert [reply.metadata.src_node_id - 1000 for reply in replies] == [1, 0, 1, 2, 1]


@pytest.mark.parametrize("wrong", [-1, "last", [1, 2], float("inf")])
def test_a_round_that_is_no_number_is_named(wrong):
    with pytest.raises(InputError, match="'server-round' in a message's config must be a whole number >= 0, got "):
        drawn(lambda grid, context: ask(grid, "train", in_round(wrong)))


# What apps log -------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", WORKERS)
def test_what_apps_log_is_shown_and_what_flower_logs_is_not(workers, capsys, monkeypatch):
    monkeypatch.setattr(console_handler, "stream", sys.stderr)
    own = logging.getLogger("histogram")
    monkeypatch.setattr(own, "handlers", [logging.StreamHandler(sys.stdout)])
    monkeypatch.setattr(own, "level", logging.INFO)
    monkeypatch.setattr(own, "propagate", False)

    def answer(message, context):
        log(logging.INFO, "client %s logs", number_of(context))
        own.info("client %s notes", number_of(context))
        return {"num-examples": 1, "loss": 1.0}

    def main(grid, context):
        log(logging.INFO, "the server logs")
        log(logging.DEBUG, "what its handler does not show")
        FedAvg(fraction_train=0).start(grid=grid, initial_arrays=arrays_of(0.0), num_rounds=1)

    before = list(logging.getLogger("flwr").filters), logging.getLogger("flwr").level
    run(App(main_of(main), answering(answer, "evaluate"), [], None), workers=workers, label=None)
    assert (list(logging.getLogger("flwr").filters), logging.getLogger("flwr").level) == before
    written = capsys.readouterr()
    said = [line.partition(":")[2].strip() for line in written.err.splitlines()]
    assert said == ["the server logs", *[f"client {number} logs" for number in range(CLIENTS)]]
    assert written.out.splitlines() == [f"client {number} notes" for number in range(CLIENTS)]


@pytest.mark.parametrize("workers", WORKERS)
def test_a_handler_that_a_client_makes_works_in_its_later_turns(workers, capsys):
    name = f"made by clients {workers}"

    def answer(message, context):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.StreamHandler())
        logger.warning("careful")

    def main(grid, context):
        for _ in range(3):
            ask(grid, "query")

    run(App(main_of(main), answering(answer, "query"), [], None), workers=workers, num_clients=2)
    assert capsys.readouterr().err.count("careful") == 6


def test_a_mod_that_only_logs_is_heard(capsys, monkeypatch):
    monkeypatch.setattr(console_handler, "stream", sys.stderr)
    client = ClientApp(mods=[arrays_size_mod])
    client.train()(lambda message, context: Message(RecordDict({"a": arrays_of(1.0)}), reply_to=message))
    run(App(main_of(lambda grid, context: ask(grid, "train")), client, [], None), num_clients=1)
    assert "Total" in capsys.readouterr().err


# The result of an app that does not hand it over -----------------------------------------------


def train_once(**options):
    return FedAvg(fraction_evaluate=0).start(**{"initial_arrays": arrays_of(0.0), "num_rounds": 1} | options)


def plus_number(message, context):
    (weights,) = message.content["arrays"].to_numpy_ndarrays()
    metrics = MetricRecord({"num-examples": 1})
    reply = RecordDict({"arrays": arrays_of(*(weights + number_of(context) + 1)), "metrics": metrics})
    return Message(reply, reply_to=message)


def adding():
    client = ClientApp()
    client.train()(plus_number)
    return client


def final(history):
    return history.arrays.to_numpy_ndarrays()[0].tolist()


def test_the_result_of_the_last_strategy_is_kept():
    def main(grid, context):
        first = train_once(grid=grid)
        train_once(grid=grid, initial_arrays=first.arrays)

    assert final(run(App(main_of(main), adding(), [], None))) == pytest.approx([4.0])


def test_what_the_app_hands_over_comes_first():
    def main(grid, context):
        keep_result(train_once(grid=grid), context)
        train_once(grid=grid, initial_arrays=arrays_of(100.0))

    assert final(run(App(main_of(main), adding(), [], None))) == [2.0]


def test_a_run_inside_keeps_its_result_to_itself():
    inner = []

    def main(grid, context):
        train_once(grid=grid)
        alone = App(main_of(lambda grid, context: train_once(grid=grid)), adding(), [], None)
        inner.append(run(alone, num_clients=2))

    assert final(run(App(main_of(main), adding(), [], None))) == [2.0]
    assert final(inner[0]) == [1.5]


@pytest.mark.parametrize("error", [None, ZeroDivisionError, KeyboardInterrupt])
def test_flowers_classes_are_as_before(error):
    def main(grid, context):
        assert vars(OwnStart)["start"] is not starts[1]
        if error:
            raise error

    starts = FedAvg.start, vars(OwnStart)["start"]
    app = App(main_of(main), adding(), [], None)
    if error:
        with pytest.raises(error):
            run(app)
    else:
        run(app)
    assert (FedAvg.start, vars(OwnStart)["start"]) == starts


def test_a_loop_without_a_strategy_is_told_how_to_hand_over_a_model(capsys):
    hint = "keep_result(Result(arrays=…), context)"
    model = RecordDict({"arrays": arrays_of(0.0)})
    assert run(App(main_of(lambda grid, context: ask(grid, "train", model)), adding(), [], None)).arrays is None
    assert hint in capsys.readouterr().out

    def main(grid, context):
        keep_result(Result(arrays=ask(grid, "train", model)[1].content["arrays"]), context)

    assert final(run(App(main_of(main), adding(), [], None))) == [2.0]
    assert hint not in capsys.readouterr().out


# What apps are told --------------------------------------------------------------------------


def told(**options):
    """Return the node config of every client, and the run config of server and clients."""
    nodes, runs = [], []

    def answer(message, context):
        nodes.append(dict(context.node_config))
        runs.append(dict(context.run_config))

    def main(grid, context):
        runs.append(dict(context.run_config))
        ask(grid, "query")

    run(App(main_of(main), answering(answer, "query"), [], None), **options)
    return nodes, runs


@pytest.mark.parametrize("as_list", [True, False])
def test_every_client_has_its_node_config(as_list):
    def of(client):
        return {"data": {"path": f"/data/{client}"}, "rate": 0.5 * client, "partition-id": 7}

    nodes, _ = told(node_config=[of(client) for client in range(CLIENTS)] if as_list else of)
    numbers = [{"partition-id": client, "num-partitions": CLIENTS} for client in range(CLIENTS)]
    assert nodes == [{"data.path": f"/data/{k}", "rate": 0.5 * k} | own for k, own in enumerate(numbers)]


def test_the_run_config_of_an_apps_pyproject_is_flattened_as_flower_does():
    table = {"num-server-rounds": 3, "train": {"lr": 0.1, "optimizer": {"name": "sgd"}}, "fast": True, "none": {}}
    flat = {"num-server-rounds": 3, "train.lr": 0.1, "train.optimizer.name": "sgd", "fast": True}
    _, runs = told(run_config=table)
    assert runs == [flat] * (1 + CLIENTS) and flat == flatten_dict(table)


@contextmanager
def nothing_runs(sentence):
    with pytest.raises(InputError) as caught:
        yield
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"node_config": {"path": "x"}}, "node_config must be a list of dictionaries, or a function of the client's"),
        ({"node_config": "x"}, "node_config must be a list of dictionaries, or a function of the client's number, got"),
        ({"node_config": [{}]}, "node_config must have one entry per client (3), got 1"),
        ({"node_config": lambda client: client}, "node_config of client 0 must be a dictionary of numbers, strings"),
        ({"node_config": [{}, {}, {"a": [1]}]}, "node_config of client 2 must be a dictionary of numbers, strings"),
        ({"run_config": {"a": None}}, "run_config must be a dictionary of numbers, strings and such dictionaries"),
        ({"run_config": {1: 2}}, "run_config must be a dictionary of numbers, strings and such dictionaries, with"),
        ({"run_config": [("a", 1)]}, "run_config must be a dictionary of numbers, strings and such dictionaries"),
    ],
)
def test_configs_that_no_app_could_have_are_named(options, sentence):
    with nothing_runs(sentence):
        told(**options)

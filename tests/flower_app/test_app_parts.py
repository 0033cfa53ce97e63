"""The app's parts: who is sampled, in which order replies are averaged, which clients there are, and the run-config."""

import random
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg
from workbook_app.clients import find_clients
from workbook_app.settings import read_run_config
from workbook_app.strategy import Reproducible
from workbook_app.versions import other_torch, own_versions

from fedlearn_helpers.algorithms import ALGORITHMS, LocalConfig, new_strategy
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.partition.registry import PATTERNS
from fedlearn_helpers.simulation.grid import server_identity

PYPROJECT = Path(__file__).parents[2] / "flower_app" / "pyproject.toml"
RULE = f"must be one of {PATTERNS}, numbers > 0"
SETTINGS_RULE = "must be numbers by name, each once, such as 'alpha=0.5 learn-alpha=1', or empty"
DEFAULTS = tomllib.loads(PYPROJECT.read_text())["tool"]["flwr"]["app"]["config"]

# Whatever the node ids and the order of replies -------------------------------------------


def train(strategy, clients, *, shuffled_with=None, rounds=3):
    """Run rounds over nodes, client by node id, that answer in any order with numbers whose sum depends on it.

    Returns:
        The clients that were asked in each round, and the final weights.
    """
    shuffle = random.Random(shuffled_with).shuffle
    node_ids = list(clients)
    shuffle(node_ids)
    grid = SimpleNamespace(get_node_ids=lambda: node_ids)
    updates = np.random.default_rng(0).normal(size=(len(clients), 50)).astype(np.float32)

    def answer(message):
        client = clients[message.metadata.dst_node_id]
        arrays = ArrayRecord({"weights": Array(message.content["arrays"]["weights"].numpy() + updates[client])})
        metrics = MetricRecord({"num-examples": 7 + client})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    asked, arrays = [], ArrayRecord({"weights": Array(np.zeros(50, np.float32))})
    with server_identity():
        for server_round in range(1, rounds + 1):
            messages = list(strategy.configure_train(server_round, arrays, ConfigRecord(), grid))
            asked.append([clients[message.metadata.dst_node_id] for message in messages])
            replies = [answer(message) for message in messages]
            shuffle(replies)
            arrays, _ = strategy.aggregate_train(server_round, replies)
    return asked, arrays["weights"].numpy()


def reproducible(partitions, **options):
    inside = new_strategy("fedavg", LocalConfig(), min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1)
    return Reproducible(inside, partitions, seed=0, **options)


def train_reproducibly(node_ids, **options):
    clients = {node_id: client for client, node_id in enumerate(node_ids)}
    strategy = reproducible(clients, fraction_train=0.5, min_clients=2)
    return train(strategy, clients, **options)


def test_neither_node_ids_nor_the_order_of_replies_change_a_bit():
    asked, weights = train_reproducibly(range(1000, 1020))
    for attempt in range(5):
        node_ids = random.Random(attempt).sample(range(2**62), 20)
        again, same = train_reproducibly(node_ids, shuffled_with=attempt)
        assert again == asked
        assert (same == weights).all()


def round_with(*contents, fraction_train=1.0):
    """Let clients 0, 1, … answer in a round, and return the strategy, the model and the metrics."""
    strategy = reproducible({10 + client: client for client in range(len(contents))}, fraction_train=fraction_train)
    grid = SimpleNamespace(get_node_ids=lambda: range(10, 10 + len(contents)))
    with server_identity():
        messages = strategy.configure_train(1, ArrayRecord({"w": Array(np.zeros(2))}), ConfigRecord(), grid)
        replies = [
            Message(RecordDict(dict(contents[message.metadata.dst_node_id - 10])), reply_to=message)
            for message in messages
        ]
    return strategy, *strategy.aggregate_train(1, replies)


def answer_of(value, *, examples=1, key="w", shape=(2,)):
    return {
        "arrays": ArrayRecord({key: Array(np.full(shape, float(value)))}),
        "metrics": MetricRecord({} if examples is None else {"num-examples": examples}),
    }


NAN = float("nan")


@pytest.mark.parametrize(
    ("faulty", "sentence"),
    [
        (answer_of(NAN), "'arrays' has numbers that are not finite"),
        (answer_of(1, shape=(3,)), "'arrays' must have the shapes that were sent"),
        (answer_of(1, key="v"), "'arrays' must have the arrays that were sent, and 'w' is missing"),
        (answer_of(1, examples=-2), "num-examples must be a finite number >= 0, got -2"),
        (answer_of(1, examples=NAN), "num-examples must be a finite number >= 0, got nan"),
        (answer_of(1, examples=None), "num-examples must be a finite number >= 0, got none"),
        (answer_of(1, examples=0), "num-examples must be > 0 for a model that is to count, got 0"),
        ({"metrics": MetricRecord({"num-examples": 1})}, "'arrays' must be among its arrays, got []"),
        (
            answer_of(1) | {"more": MetricRecord()},
            "unlike most replies of the round, it has an additional MetricRecord",
        ),
    ],
)
def test_a_reply_that_cannot_be_used_is_left_out_and_written_down(faulty, sentence):
    strategy, arrays, _ = round_with(answer_of(1), faulty, answer_of(4, examples=2))
    assert arrays["w"].numpy().tolist() == [3, 3]
    assert strategy.rounds[1]["failures"] == {"train": 1} and strategy.rounds[1]["clients"] == {"train": 3}
    (error,) = strategy.rounds[1]["errors"]
    assert error.startswith(f"client 1 in round 1, phase 'train': {sentence}")


@pytest.mark.parametrize(("says", "sentence"), [(True, "Node Unavailable"), (False, "no reply in time")])
def test_a_client_whose_node_is_gone_is_a_failure_by_name(says, sentence):
    """Flower's SuperLink answers for it, in its own name (node 1), and on a time-out nobody does."""
    strategy = reproducible({10: 0, 11: 1, 12: 2}, fraction_train=1.0)
    grid = SimpleNamespace(get_node_ids=lambda: [10, 11, 12])
    with server_identity():
        messages = strategy.configure_train(1, ArrayRecord({"w": Array(np.zeros(2))}), ConfigRecord(), grid)
        contents = [RecordDict(dict(answer_of(value))) for value in (1, 2, 4)]
        replies = [Message(content, reply_to=message) for content, message in zip(contents, messages, strict=True)]
        gone = Message(Error(3, "Node Unavailable"), reply_to=messages[1])
    gone.metadata._src_node_id = 1
    arrays, _ = strategy.aggregate_train(1, [replies[2], *([gone] if says else []), replies[0]])
    assert arrays["w"].numpy().tolist() == [2.5, 2.5]
    assert strategy.rounds[1]["failures"] == {"train": 1} and strategy.rounds[1]["trained"] == [0, 2]
    assert strategy.rounds[1]["errors"] == [f"client 1 in round 1, phase 'train': {sentence}"]


def test_replies_of_two_kinds_and_none_that_of_most_are_one_sentence():
    with pytest.raises(InputError, match="^more than half of the replies to 'train' in round 1 .* client 0.* client 1"):
        round_with(answer_of(1), answer_of(1) | {"more": MetricRecord()})


def test_a_round_in_which_no_client_has_examples_is_one_sentence():
    with pytest.raises(InputError, match="^num-examples must be > 0 for at least one client in a round, got 0 from"):
        round_with(answer_of(1, examples=0), answer_of(2, examples=0))


def test_a_share_of_the_clients_is_rounded_once():
    strategy, *_ = round_with(*[answer_of(1)] * 100, fraction_train=0.29)
    assert strategy.rounds[1]["clients"] == {"train": 29}, "0.29 * 100 is 28.999… in floats"


def test_with_flowers_own_fedavg_the_order_of_replies_does():
    clients = {client: client for client in range(20)}
    results = [train(FedAvg(), clients, shuffled_with=attempt)[1] for attempt in range(5)]
    assert any((one != other).any() for one, other in pairwise(results))


def test_a_node_that_joined_later_stays_out():
    strategy = reproducible({10: 0, 11: 1})
    grid = SimpleNamespace(get_node_ids=lambda: [12, 11, 10])
    with server_identity():
        arrays = ArrayRecord({"weights": Array(np.zeros(1))})
        messages = strategy.configure_evaluate(1, arrays, ConfigRecord(), grid)
    assert [message.metadata.dst_node_id for message in messages] == [10, 11]


def test_a_round_waits_for_clients_and_says_when_it_has_waited_enough():
    strategy = reproducible({10: 0, 11: 1, 12: 2}, min_clients=2, patience=0.05)
    arrays = ArrayRecord({"weights": Array(np.zeros(1))})
    coming = iter([[10], [10], [12, 10]])
    with server_identity():
        late = SimpleNamespace(get_node_ids=lambda: next(coming))
        strategy._patience = 10.0
        messages = strategy.configure_train(1, arrays, ConfigRecord(), late)
        assert [message.metadata.dst_node_id for message in messages] == [10, 12]
        strategy._patience = 0.05
        with pytest.raises(InputError) as caught:
            strategy.configure_train(2, arrays, ConfigRecord(), SimpleNamespace(get_node_ids=lambda: [11]))
    assert str(caught.value) == (
        "min-clients must be <= the number of clients that are connected, got 2 with 1 clients after 0 seconds"
    )


def clients_found(*answers, patience=0.0, versions=None):
    """Let a node give each of these answers: partition-id and num-partitions."""

    def send_and_receive(messages, timeout):
        return [Message(RecordDict(answer(message)), reply_to=message) for message in messages]

    def answer(message):
        partition_id, num_partitions = answers[message.metadata.dst_node_id - 10]
        theirs = own_versions() | (versions or {}).get(partition_id, {})
        return {
            "partition": ConfigRecord({"partition-id": partition_id, "num-partitions": num_partitions}),
            "versions": ConfigRecord({name: version for name, version in theirs.items() if version}),
        }

    grid = SimpleNamespace(get_node_ids=lambda: range(10, 10 + len(answers)), send_and_receive=send_and_receive)
    with server_identity():
        return find_clients(grid, patience=patience)


def test_clients_say_who_they_are():
    found = clients_found((1, 3), (0, 3), (2, 3))
    assert {node: client.partition for node, client in found.items()} == {10: 1, 11: 0, 12: 2}


@pytest.mark.parametrize(
    ("theirs", "found"),
    [
        ({"flwr": "1.30.0"}, "flwr {flwr}, got flwr 1.30.0"),
        ({"fedlearn_helpers": "0.0.9"}, "fedlearn_helpers {fedlearn_helpers}, got fedlearn_helpers 0.0.9"),
        (
            {"flwr": "1.30.0", "fedlearn_helpers": None},
            "flwr {flwr} and fedlearn_helpers {fedlearn_helpers}, "
            "got flwr 1.30.0 and fedlearn_helpers of no known version",
        ),
    ],
)
def test_a_client_with_another_version_is_refused_by_name(theirs, found):
    with pytest.raises(InputError) as caught:
        clients_found((0, 2), (1, 2), versions={1: theirs})
    assert str(caught.value) == "client 1 must have the server's versions, " + found.format(**own_versions())


def test_another_torch_is_named_and_not_refused():
    found = clients_found((0, 2), (1, 2), versions={1: {"torch": "2.0"}})
    sentences = [other_torch(client.partition, client.versions) for client in found.values()]
    assert sentences == [None, f"client 1 computes with torch 2.0, the server with torch {own_versions()['torch']}"]


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([(0, 3), (1, 3)], "num-partitions must be the number of clients, got {3} with 2 clients after 0 seconds"),
        ([], "num-partitions must be the number of clients, got none with 0 clients after 0 seconds"),
        ([(0, 2), (1, 3)], "num-partitions must be the same for all clients, got [2, 3]"),
        ([(1, 2), (1, 2)], "partition-id must be 0 to 1, each once, got [1, 1]"),
        ([(0, 2), (2, 2)], "partition-id must be 0 to 1, each once, got [0, 2]"),
    ],
)
def test_clients_that_do_not_fit_together_are_an_error(answers, sentence):
    with pytest.raises(InputError) as caught:
        clients_found(*answers)
    assert str(caught.value) == sentence


# The run-config ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"algorithm": "fedsgd"}, f"algorithm must be {', '.join(map(repr, ALGORITHMS))}, got 'fedsgd'"),
        ({"settings": "mu"}, f"settings {SETTINGS_RULE}, got 'mu'"),
        ({"settings": "mu=x"}, f"settings {SETTINGS_RULE}, got 'mu=x'"),
        ({"settings": "mu=1 mu=2"}, f"settings {SETTINGS_RULE}, got 'mu=1 mu=2'"),
        ({"settings": "=1"}, f"settings {SETTINGS_RULE}, got '=1'"),
        ({"settings": "mu=1"}, "settings must be the algorithm's own: fedavg has no settings, got 'mu'"),
        (
            {"algorithm": "scaffold", "settings": "server_learning_rate=0"},
            "settings must be the algorithm's own: server_learning_rate of scaffold must be > 0, got 0",
        ),
        ({"momentum": 1.0}, "momentum must be < 1, got 1.0"),
        ({"fraction-evaluate": -0.1}, "fraction-evaluate must be >= 0, got -0.1"),
        ({"checkpoint-path": "run"}, "checkpoint-path must be the absolute path of a file, or empty, got 'run'"),
        ({"client-states-path": "x"}, "client-states-path must be the absolute path of a folder, or empty, got 'x'"),
        (
            {"algorithm": "scaffold", "checkpoint-path": "/x/run"},
            "client-states-path must be a folder where there is a checkpoint-path, since clients of SCAFFOLD keep a "
            "state from round to round, got ''",
        ),
        ({"partition": "xyz"}, f"partition {RULE}, got 'xyz'"),
        ({"partition": "dirichlet"}, f"partition {RULE}, got 'dirichlet'"),
        ({"learning-rate": -1}, "learning-rate must be > 0, got -1"),
        ({"batch-size": "32"}, "batch-size must be a whole number (a number has no quotation marks), got '32'"),
        ({"local-epochs": 0}, "local-epochs must be >= 1, got 0"),
        ({"num-server-rounds": 1.5}, "num-server-rounds must be a whole number, got 1.5"),
        ({"fraction-train": 1.1}, "fraction-train must be <= 1, got 1.1"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
        ({"results-path": "x.json"}, "results-path must be the absolute path of a file, or empty, got 'x.json'"),
        ({"results-path": "/"}, "results-path must be the absolute path of a file, or empty, got '/'"),
        ({"min-clients": 0, "seed": "x"}, "min-clients must be >= 1, got 0; seed must be a whole number, got 'x'"),
    ],
)  # fmt: skip
def test_a_bad_run_config_is_one_sentence(change, sentence):
    with pytest.raises(InputError) as caught:
        read_run_config(DEFAULTS | change)
    assert str(caught.value) == sentence


def test_a_missing_value_is_named():
    with pytest.raises(InputError, match="^learning-rate must be set, got nothing$"):
        read_run_config({key: value for key, value in DEFAULTS.items() if key != "learning-rate"})


def test_the_list_of_algorithms_that_need_files_for_states_is_the_right_one():
    sentence = PYPROJECT.read_text().split("client-states-path =")[1].replace("#", "").split("needed")[1]
    assert set(re.findall(r'"(\w+)"', sentence)) == {name for name, one in ALGORITHMS.items() if one.keeps_state}

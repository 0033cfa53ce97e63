"""Replies that a server cannot use are refused with the client's number and the reason; all others pass as they are."""

import functools
import math
import re

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.exception import InconsistentMessageReplies
from flwr.serverapp.strategy import FedAvg, FedMedian, Strategy, strategy_utils
from noise import changing, distance, fail, noise_images, shards
from torch import nn

from fedlearn_helpers.algorithms import ALGORITHMS, STRATEGIES, LocalConfig
from fedlearn_helpers.algorithms.fednova import NORM
from fedlearn_helpers.algorithms.qfedavg import LOSS
from fedlearn_helpers.algorithms.scaffold import CHANGE
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.models import NORMALIZED_MODELS, new_mlp
from fedlearn_helpers.simulation import keep_result, simulate
from fedlearn_helpers.simulation.replies import (
    MODEL_PREFIX,
    NEEDED_METRICS,
    NEEDED_RECORDS,
    FaultyReply,
    fault_of,
    unlike_most,
)

# What is a fault ---------------------------------------------------------------------------


def arrays(value=1.0, *, dtype=np.float32, shape=(2, 3), **others):
    """A model of two arrays; one number of the first has this value."""
    w = np.ones(shape, dtype)
    w.flat[-1] = value
    return ArrayRecord({"w": Array(w), "count": Array(np.array(3))} | others)


def request(**needed):
    config = {"server-round": 1} | {key.replace("_", "-"): names for key, names in needed.items()}
    return RecordDict({"arrays": arrays(), "config": ConfigRecord(config)})


def reply(model=None, *, examples=10, **records):
    metrics = {} if examples is None else {"num-examples": examples}
    content = {"metrics": MetricRecord({"loss": math.nan, **metrics})} | records
    return RecordDict(content if model is None else {"arrays": model} | content)


NOT_FINITE = r"^'arrays' has numbers that are not finite \(nan or infinite\) in 'w': its training may have diverged$"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (reply(arrays(math.nan)), NOT_FINITE),
        (reply(arrays(math.inf)), NOT_FINITE),
        (reply(arrays(-math.inf)), NOT_FINITE),
        (reply(arrays(math.nan, dtype=np.float64)), NOT_FINITE),
        (reply(arrays(math.nan, dtype=np.float16)), NOT_FINITE),
        (reply(arrays(shape=(3, 2))), r"^'arrays' must have the shapes that were sent, \(2, 3\) for 'w', got \(3, 2\)"),
        (reply(arrays(shape=(6,))), "must have the shapes that were sent"),
        (reply(arrays(other=Array(np.zeros(1)))), "must have the arrays that were sent, and 'other' is not one of"),
        (reply(ArrayRecord({"w": arrays()["w"]})), "must have the arrays that were sent, and 'count' is missing$"),
        (reply(ArrayRecord()), "and 'w' is missing$"),
        (reply(arrays(w=Array(np.full((2, 3), "x")))), "must have numbers, got the dtype <U1 for 'w'"),
        (reply(arrays(w=Array(np.full((2, 3), 1j)))), "must have numbers, got the dtype complex128 for 'w'"),
        (reply(arrays(), examples=-1), "^num-examples must be a finite number >= 0, got -1$"),
        (reply(arrays(), examples=-0.5), "^num-examples must be .* got -0.5$"),
        (reply(arrays(), examples=math.nan), "^num-examples must be .* got nan$"),
        (reply(arrays(), examples=math.inf), "^num-examples must be .* got inf$"),
        (reply(arrays(), examples=[3, 4]), r"^num-examples must be .* got \[3, 4\]$"),
        (reply(examples=-1), "^num-examples must be"),
    ],
)
def test_faults_of_a_training(answer, sentence):
    assert re.search(sentence, fault_of("train", request(), answer))
    assert fault_of("train.mine", request(), answer) == fault_of("train", request(), answer)
    assert fault_of("query", request(), answer) is None, "a query's answer is the app's own affair"
    assert (fault_of("evaluate", request(), answer) is None) == (not sentence.startswith("^num-examples"))


LARGE = np.full((2, 3), 3e38, np.float32)  # finite, and their sum is not


@pytest.mark.parametrize(
    "answer",
    [
        reply(arrays()),
        reply(arrays(), examples=0),
        reply(arrays(), examples=1.5),
        reply(arrays(), examples=None),
        reply(arrays(dtype=np.float64)),
        reply(arrays(dtype=np.float16)),
        reply(arrays(w=Array(LARGE))),
        reply(arrays(w=Array(-LARGE))),
        reply(arrays(w=Array(np.asfortranarray(LARGE)))),
        reply(arrays(count=Array(np.array(2.5)))),
        reply(),  # secure aggregation puts the model elsewhere
        reply(embeddings=ArrayRecord({"w": Array(np.full(7, np.nan))})),  # vertical learning, and whoever knows why
        reply(arrays(), masked=ConfigRecord({"vector": [1, 2]})),
        RecordDict(),
        RecordDict({"histogram": MetricRecord({"bins": [1, 2, 3]})}),
    ],
)
def test_what_is_no_fault(answer):
    assert fault_of("train", request(), answer) is None
    assert fault_of("evaluate", request(), answer) is None


def test_arrays_of_bytes_are_files_and_may_have_any_length():
    """As in Flower's XGBoost, where the model grows from round to round."""
    sent, grown = (RecordDict({"arrays": ArrayRecord([np.zeros(size, np.uint8)])}) for size in (0, 700))
    assert fault_of("train", sent, grown) is None
    empty, full = (RecordDict({"arrays": ArrayRecord([np.zeros(size, np.float32)])}) for size in (0, 700))
    assert "shapes" in fault_of("train", empty, full), "control: numbers may not"


def test_a_counter_that_flower_has_averaged_comes_back_whole():
    sent = RecordDict({"arrays": ArrayRecord({"count": Array(np.array(2.5))})})
    assert fault_of("train", sent, RecordDict({"arrays": ArrayRecord({"count": Array(np.array(3))})})) is None


def test_who_received_nan_is_not_blamed_for_it():
    sent = RecordDict({"arrays": arrays(math.nan)})
    assert fault_of("train", sent, reply(arrays(math.nan))) == (
        "'arrays' has numbers that are not finite in 'w', as has the model that was sent"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, [1.0]])
def test_a_metric_that_the_server_computes_with_must_be_an_amount(value):
    answer = reply(arrays())
    answer["metrics"]["loss"] = value
    assert fault_of("train", request(), answer) is None, "control"
    asked = request(**{NEEDED_METRICS: ["loss", "num-examples"]})
    assert fault_of("train", asked, answer) == f"loss must be a finite number >= 0, got {value!r}"
    assert fault_of("evaluate", asked, answer) is None
    assert fault_of("train", asked, reply(arrays(), examples=None)) == (
        "num-examples must be a finite number >= 0, got none"
    )


def test_zero_examples_are_a_fault_where_the_server_computes_with_their_number():
    """A median, or a uniform mean, would count such a model as any other."""
    answer = reply(arrays(), examples=0)
    asked = request(**{NEEDED_METRICS: ["num-examples"]})
    assert fault_of("train", asked, answer) == "num-examples must be > 0 for a model that is to count, got 0"
    assert fault_of("train", request(), answer) is None, "control"
    assert fault_of("evaluate", asked, answer) is None


def test_arrays_that_are_to_be_like_those_under_a_prefix():
    sent = {f"{cluster}/{key}": array for cluster in (0, 1) for key, array in arrays().items()}
    asked = request(**{NEEDED_RECORDS: ["model"], MODEL_PREFIX: "0/"})
    asked["arrays"] = ArrayRecord(sent)
    assert fault_of("train", asked, RecordDict({"model": arrays()})) is None
    faults = {
        "'model' must have the shapes that were sent": arrays(shape=(6,)),
        "'model' must have the arrays that were sent, and 'count' is missing": ArrayRecord({"w": arrays()["w"]}),
        "'model' must have the arrays that were sent, and 'x' is not one of them": arrays(x=Array(np.zeros(1))),
    }
    del asked["config"][MODEL_PREFIX]
    for model in faults.values():
        assert fault_of("train", asked, RecordDict({"model": model})) is None, "control"
    asked["config"][MODEL_PREFIX] = "0/"
    for sentence, model in faults.items():
        assert fault_of("train", asked, RecordDict({"model": model})).startswith(sentence)


def test_records_that_the_server_computes_with():
    asked = request(**{NEEDED_RECORDS: ["arrays", "change"]})
    assert fault_of("train", asked, reply(arrays())) == "'change' must be among its arrays, got ['arrays']"
    assert fault_of("train", asked, reply(arrays(), change=arrays())) is None
    assert "'change' has numbers that are not" in fault_of("train", asked, reply(arrays(), change=arrays(math.nan)))
    assert "'change' must have the shapes" in fault_of("train", asked, reply(arrays(), change=arrays(shape=(1,))))


# What differs from most replies of a round ---------------------------------------------------


def with_metrics(record="metrics", **metrics):
    return RecordDict({"arrays": arrays(), record: MetricRecord({"num-examples": 1, "loss": 0.5} | metrics)})


def but(content, **records):
    """Return a reply with further records, or others."""
    return RecordDict({**content, **records})


def others(answer, *, count=2):
    """Return replies of so many clients, and that of the next one."""
    return dict(enumerate([with_metrics() for _ in range(count)] + [answer]))


UNLIKE = [
    (but(with_metrics(), more=arrays()), "an additional ArrayRecord 'more'"),
    (but(with_metrics(), more=MetricRecord({"n": 1})), "an additional MetricRecord 'more'"),
    (RecordDict({"arrays": arrays()}), "no MetricRecord 'metrics'"),
    (RecordDict({"metrics": with_metrics()["metrics"]}), "no ArrayRecord 'arrays'"),
    (with_metrics("m"), "no MetricRecord 'metrics'"),
    (but(with_metrics(), arrays=arrays(x=Array(np.zeros(1)))), "an additional 'x' in its ArrayRecord 'arrays'"),
    (with_metrics(more=1), "an additional 'more' in its MetricRecord 'metrics'"),
    (
        RecordDict({"arrays": arrays(), "metrics": MetricRecord({"loss": 1.0})}),
        "no 'num-examples' in its MetricRecord 'metrics'",
    ),
    (with_metrics(loss=[1.0, 2.0]), "a list of 2 and not a number as 'loss' in its MetricRecord 'metrics'"),
]


@pytest.mark.parametrize(("answer", "difference"), UNLIKE)
def test_a_reply_that_differs_from_most(answer, difference):
    assert unlike_most("train", 2, others(answer)) == {2: f"unlike most replies of the round, it has {difference}"}
    assert unlike_most("query", 2, others(answer)) == {}
    in_evaluation = {} if "Array" in difference else unlike_most("train", 2, others(answer))
    assert unlike_most("evaluate", 2, others(answer)) == in_evaluation, "Flower does not look at arrays there"
    assert unlike_most("train", 2, {0: answer}) == {}, "nothing to compare it with"
    with pytest.raises(InputError) as caught:
        unlike_most("train", 2, others(answer, count=1))
    assert not isinstance(caught.value, FaultyReply), "nobody knows whose fault it is"
    assert str(caught.value) == (
        "more than half of the replies to 'train' in round 2 must have the same records and metrics, got those of "
        f"client 0, and those of client 1 with {difference}"
    )


def average_as_flower_does(replies):
    strategy_utils.validate_message_reply_consistency(replies, "num-examples", check_arrayrecord=True)
    return strategy_utils.aggregate_metricrecords(replies, "num-examples")


@pytest.mark.parametrize(("answer", "difference"), UNLIKE)
def test_flower_alone_would_stop_there_and_name_nobody(answer, difference):
    """Control: were it not so, there would be nothing to refuse."""
    with pytest.raises((InconsistentMessageReplies, TypeError)) as caught:
        average_as_flower_does(list(others(answer).values()))
    assert "client 2" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        with_metrics(),
        with_metrics(loss=3),  # a whole number is a number, too
        but(with_metrics(), config=ConfigRecord({"seconds": 3.0})),  # Flower does not look at these
    ],
)
def test_what_may_differ(answer):
    assert unlike_most("train", 2, others(answer)) == {}
    assert math.isfinite(average_as_flower_does(list(others(answer).values()))["loss"])


def test_three_kinds_of_replies_are_named_and_a_long_list_of_clients_is_cut():
    replies = dict(enumerate([*(with_metrics() for _ in range(7)), *(with_metrics(a=1) for _ in range(6))]))
    replies |= {13: with_metrics(b=1)}
    with pytest.raises(
        InputError, match="those of clients 0, 1, 2, 3, 4 and 2 more, and .*'a' .* client 13 with .*'b'"
    ):
        unlike_most("train", 2, replies)
    del replies[13]
    assert set(unlike_most("train", 2, replies)) == set(range(7, 13)), "control: 7 of 13 are more than half"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_metric_of_a_training_that_is_not_finite_where_others_are(value):
    sentence = f"loss must be finite, as in other replies of the round, got {value}"
    assert unlike_most("train", 2, others(with_metrics(loss=value))) == {2: sentence}
    assert unlike_most("evaluate", 2, others(with_metrics(loss=value))) == {}
    replies = {0: with_metrics(loss=value), 1: with_metrics(loss=value), 2: with_metrics()}
    assert unlike_most("train", 2, replies) == {0: sentence, 1: sentence}, "most do not decide what is finite"
    del replies[2]
    assert unlike_most("train", 2, replies) == {}, "all the same: the average says so"
    lists = {0: with_metrics(loss=[1.0, value]), 1: with_metrics(loss=[1.0, 2.0])}
    assert list(unlike_most("train", 2, lists)) == [0]


# In a federation ---------------------------------------------------------------------------


def new_client_app(faulty, faulty_evaluation):
    """Client k adds k + 1 to the model and has as many examples; functions may change its replies.

    It counts its trainings, and reports that number.
    """
    app = ClientApp()

    @app.train()
    def train(message, context):
        client = context.node_config["partition-id"]
        w = message.content["arrays"]["w"].numpy() + client + 1
        content = RecordDict({"arrays": ArrayRecord({"w": Array(w)})})
        turns = context.state.setdefault("turns", MetricRecord({"turns": 0}))
        turns["turns"] += 1
        content["metrics"] = MetricRecord({"num-examples": client + 1, "turns": turns["turns"]})
        faulty(client, message.content["config"]["server-round"], content)
        return Message(content, reply_to=message)

    @app.evaluate()
    def evaluate(message, context):
        content = RecordDict({"metrics": MetricRecord({"num-examples": 1, "accuracy": math.nan})})
        faulty_evaluation(context.node_config["partition-id"], message.content["config"]["server-round"], content)
        return Message(content, reply_to=message)

    return app


def leave(client, server_round, content):
    """Change nothing."""


def run(faulty=leave, *, faulty_evaluation=leave, strategy=FedAvg, rounds=2, clients=3, **options):
    server_app = ServerApp()

    @server_app.main()
    def main(grid, context):
        keep_result(strategy().start(grid, ArrayRecord({"w": Array(np.zeros(2))}), num_rounds=rounds), context)

    client_app = new_client_app(faulty, faulty_evaluation)
    return simulate(server_app, client_app, num_clients=clients, seed=0, **({"workers": 1} | options))


def nan_from_client_1_in_round_2(client, server_round, content):
    if (client, server_round) == (1, 2):
        content["arrays"] = ArrayRecord({"w": Array(np.array([1.0, np.nan]))})


@pytest.mark.parametrize("workers", [1, 2])
def test_the_round_goes_on_without_the_client_if_the_caller_wants_that(capsys, workers):
    history = run(nan_from_client_1_in_round_2, on_error="reply", workers=workers)
    after_one = (1 * 1 + 2 * 2 + 3 * 3) / 6
    assert history.arrays["w"].numpy().tolist() == pytest.approx([after_one + (1 * 1 + 3 * 3) / 4] * 2)
    (failure,) = history.failures.to_dict("records")
    assert (failure["round"], failure["phase"], failure["client"], failure["bytes_up"]) == (2, "train", 1, 0)
    assert failure["error"] == (
        "FaultyReply: the reply of client 1 in round 2 cannot be used: 'arrays' has numbers that are not finite "
        "(nan or infinite) in 'w': its training may have diverged"
    )
    assert "1 of 12 messages to clients failed; history.failures lists them." in capsys.readouterr().out


@pytest.mark.parametrize("workers", [1, 2])
def test_or_the_run_ends_with_one_sentence(workers):
    with pytest.raises(FaultyReply, match="^the reply of client 1 in round 2 cannot be used: 'arrays' has") as caught:
        run(nan_from_client_1_in_round_2, workers=workers)
    assert len(caught.value._render_traceback_()) == 1


def test_flowers_median_goes_on_too():
    history = run(nan_from_client_1_in_round_2, strategy=FedMedian, on_error="reply")
    assert history.arrays["w"].numpy().tolist() == [4, 4], "2 of all three, and then 2 of clients 0 and 2"


def test_accuracies_that_are_nan_are_no_fault_and_stay_visible():
    history = run()
    assert history.failures.empty and history.rounds["evaluate_accuracy"].isna().all()


@pytest.mark.parametrize("examples", [-3, math.nan, math.inf])
def test_a_wrong_number_of_examples(examples):
    def wrong(client, server_round, content):
        if client == 1:
            content["metrics"]["num-examples"] = examples

    history = run(wrong, on_error="reply", rounds=1)
    assert history.arrays["w"].numpy().tolist() == [(1 * 1 + 3 * 3) / 4] * 2
    assert list(history.rounds["failures"]) == [1], "and the tables can be made"
    with pytest.raises(FaultyReply, match="client 1 in round 1 .* num-examples must be a finite number >= 0, got"):
        run(wrong, rounds=1)


def test_examples_of_nobody_are_one_sentence():
    def none(client, server_round, content):
        content["metrics"]["num-examples"] = 0 if server_round == 2 else 1

    sentence = "num-examples must be > 0 for at least one client in a round, got 0 from all 3"
    with pytest.raises(InputError, match=f"^{sentence}$"):
        run(none)
    assert run(none, rounds=1).arrays["w"].numpy().tolist() == [2, 2], "control"


def test_a_division_by_zero_of_the_apps_own_stays_what_it_is():
    def divide(client, server_round, content):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        run(divide)


def in_round_2(*clients, **metrics):
    """Return a change of these clients' metrics."""

    def change(client, server_round, content):
        if client in clients and server_round == 2:
            content["metrics"].update(metrics)

    return change


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reply_unlike_the_others_is_as_good_as_none(workers):
    history = run(in_round_2(1, more=1), on_error="reply", rounds=3, workers=workers)
    (failure,) = history.failures.to_dict("records")
    assert (failure["round"], failure["phase"], failure["client"], failure["bytes_up"]) == (2, "train", 1, 0)
    assert failure["error"] == (
        "FaultyReply: the reply of client 1 in round 2 cannot be used: unlike most replies of the round, it has an "
        "additional 'more' in its MetricRecord 'metrics'"
    )
    one, two = (1 * 1 + 2 * 2 + 3 * 3) / 6, (1 * 1 + 3 * 3) / 4
    assert history.arrays["w"].numpy().tolist() == pytest.approx([one + two + one] * 2)
    turns = history.clients.query("phase == 'train' and round == 3")["turns"]
    assert list(turns) == [3, 2, 3], "what client 1 has kept is what it was before, too"
    with pytest.raises(FaultyReply, match="^the reply of client 1 in round 2 cannot be used: unlike most"):
        run(in_round_2(1, more=1), workers=workers)


@pytest.mark.parametrize("on_error", ["raise", "reply"])
def test_a_tie_ends_the_run_and_names_both_groups(on_error):
    sentence = "to 'train' in round 2 must have .* those of clients 0, 2, and those of clients 1, 3 with an additional"
    with pytest.raises(InputError, match=sentence):
        run(in_round_2(1, 3, more=1), clients=4, on_error=on_error)


def test_an_evaluation_unlike_the_others_is_as_good_as_none():
    history = run(faulty_evaluation=in_round_2(1, more=1), on_error="reply")
    (failure,) = history.failures.to_dict("records")
    assert (failure["round"], failure["phase"], failure["client"]) == (2, "evaluate", 1)
    with pytest.raises(FaultyReply, match="^the reply of client 1 in round 2 cannot be used: unlike most"):
        run(faulty_evaluation=in_round_2(1, more=1))


def test_a_metric_that_is_nan_does_not_get_into_the_average_of_trainings():
    history = run(in_round_2(1, turns=math.nan), on_error="reply")
    assert list(history.rounds["train_turns"]) == [1, 2]
    with pytest.raises(FaultyReply, match="client 1 in round 2 .* turns must be finite, as in other replies"):
        run(in_round_2(1, turns=math.nan))
    everywhere = run(in_round_2(0, 1, 2, turns=math.nan))
    assert np.isnan(everywhere.rounds["train_turns"][2]), "it cannot be overlooked"


def test_an_evaluation_that_is_nan_stays_visible():
    """It may be what the server's model has earned there."""
    history = run(faulty_evaluation=lambda client, server_round, content: in_round_2(0, 2, accuracy=0.5)(
        client, 2, content
    ))  # fmt: skip
    assert history.failures.empty and history.rounds["evaluate_accuracy"].isna().all()
    assert set(history.clients.query("phase == 'evaluate' and accuracy.isna()")["client"]) == {1}


class OwnRule(Strategy):
    """Averages nothing, and has nothing against replies of several kinds."""

    def configure_train(self, server_round, arrays, config, grid):
        content = RecordDict({"arrays": arrays, "config": ConfigRecord({"server-round": server_round})})
        return [grid.create_message(content, "train", node, "") for node in grid.get_node_ids()]

    def aggregate_train(self, server_round, replies):
        return None, MetricRecord({"answers": sum(not reply.has_error() for reply in replies)})

    def configure_evaluate(self, server_round, arrays, config, grid):
        return []

    def aggregate_evaluate(self, server_round, replies):
        return None

    def summary(self):
        pass


class AroundFedAvg(OwnRule):
    """The same, with Flower's averaging inside."""

    def __init__(self):
        self.strategy = FedAvg()


def test_only_those_who_average_need_replies_that_are_alike():
    """Control: neither a strategy with a rule of its own nor a server without one."""
    history = run(in_round_2(1, more=1), strategy=OwnRule)
    assert list(history.rounds["train_answers"]) == [3, 3] and history.failures.empty
    with pytest.raises(FaultyReply, match="^the reply of client 1 in round 2"):
        run(in_round_2(1, more=1), strategy=AroundFedAvg)
    server_app = ServerApp()

    @server_app.main()
    def main(grid, context):
        asked = OwnRule().configure_train(2, ArrayRecord({"w": Array(np.zeros(2))}), ConfigRecord(), grid)
        assert not any(reply.has_error() for reply in grid.send_and_receive(asked))

    client_app = new_client_app(in_round_2(1, more=1), leave)
    assert simulate(server_app, client_app, num_clients=2, seed=0, workers=1).failures.empty


# The algorithms of the package ---------------------------------------------------------------

SIZES = (12, 20, 40)
CONFIG = LocalConfig(batch_size=10, learning_rate=0.05)


@pytest.fixture(scope="module")
def noise():
    return noise_images(80, 20)


def model_for(name, noise):
    return (NORMALIZED_MODELS["mlp"] if name == "fedbn" else new_mlp)(noise.image_shape, noise.num_classes, 0)


def federation(name, noise, mod, **options):
    plain = {"num_rounds": 3, "local_config": CONFIG, "seed": 0, "workers": 1, "label": None, "on_error": "reply"}
    options.setdefault("model", model_for(name, noise))
    return federate(name, noise, shards(SIZES), mods=[mod], **(plain | options))


def spoil(record, value=math.nan):
    """Put a value into the first number of the first array of a record."""

    def change(content):
        name = record or next(iter(content.array_records))
        state = content.array_records[name].to_torch_state_dict()
        next(tensor for tensor in state.values() if tensor.is_floating_point()).view(-1)[0] = value
        content[name] = ArrayRecord(state)

    return change


def set_metric(name, value):
    def change(content):
        content["metrics"][name] = value

    return change


def drop_metric(name):
    def change(content):
        del content["metrics"][name]

    return change


FAULTS = [(name, spoil(None)) for name in ALGORITHMS] + [
    ("fedavg", spoil(None, math.inf)),
    ("scaffold", spoil(CHANGE)),
    ("qfedavg", set_metric(LOSS, math.nan)),
    ("qfedavg", set_metric(LOSS, -1.0)),
    ("qfedavg", drop_metric(LOSS)),
    ("fednova", set_metric(NORM, math.inf)),
    ("ifca", set_metric("cluster", math.nan)),
    ("feddyn", drop_metric("num-examples")),
    ("fedavg", drop_metric("num-examples")),
    ("fedprox", set_metric("num-examples", -5)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "change"), FAULTS)
def test_a_reply_that_cannot_be_used_is_as_good_as_none(noise, name, change):
    """The client's state stays what it was, too: the federation is that in which it failed."""
    spoiled, failed = (federation(name, noise, changing(how)) for how in (change, fail))
    assert len(spoiled.history.failures) == 1
    assert "client 1 in round 2 cannot be used" in spoiled.history.failures["error"].iloc[0]
    models = [result.model.to_torch_state_dict() for result in (spoiled, failed)]
    assert all(torch.equal(tensor, models[1][name]) for name, tensor in models[0].items())
    assert np.array_equal(spoiled.members.own, failed.members.own)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_training_that_diverges_ends_with_one_sentence(noise, name):
    with pytest.raises(FaultyReply, match="^the reply of client . in round . cannot be used: "):
        federation(
            name,
            noise,
            changing(lambda content: None),
            num_rounds=8,
            local_config=LocalConfig(batch_size=4, learning_rate=1e15),
            on_error="raise",
        )


def test_flowers_strategies_may_average_batchnorms_counters(noise):
    """Flower's average of a whole number is a float; the client rounds it, and sends a whole number."""
    counts = []

    def look(message, context, call_next):
        answer = call_next(message, context)
        counts.append(int(answer.content["arrays"]["2.num_batches_tracked"].numpy()))
        return answer

    flowers = functools.partial(FedAvg, fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1)
    result = federation("fedbn", noise, look, num_rounds=1)  # the model with BatchNorm
    counts.clear()
    result = federate(
        flowers, noise, shards((10,) * 6), num_rounds=2, local_config=CONFIG, seed=0, workers=1, mods=[look],
        label=None, model=model_for("fedbn", noise),
    )  # fmt: skip
    assert result.history.failures.empty
    assert counts == [1] * 6 + [2] * 6, "six times 1/6 is less than 1 in floats"


def test_whole_numbers_come_back_whole_and_exact(noise):
    """The package's own servers keep the dtype, and do not lose the last digits of large counters."""

    class Counting(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Flatten(), nn.Linear(256, 3))
            self.register_buffer("count", torch.tensor(2**40 // 7))
            self.register_buffer("small", torch.tensor(1, dtype=torch.int32))

    for name in ("fedavg", "fedprox", "ifca"):
        options = {"num_rounds": 1, "local_config": CONFIG, "seed": 0, "workers": 1, "label": None}
        settings = {"clusters": 1} if name == "ifca" else None
        result = federate(name, noise, shards((10,) * 6), model=Counting(), settings=settings, **options)
        weights = {key.removeprefix("0/"): t for key, t in result.model.to_torch_state_dict().items() if t.ndim == 0}
        assert {key: (tensor.dtype, int(tensor)) for key, tensor in weights.items()} == {
            "count": (torch.int64, 2**40 // 7),
            "small": (torch.int32, 1),
        }, name


def test_a_model_that_numpy_has_no_numbers_for_is_refused_at_once(noise):
    with pytest.raises(
        InputError, match=r"^model must have numbers that NumPy has, too, .* got torch.bfloat16 in '1.w"
    ):
        federation("fedavg", noise, changing(fail), model=model_for("fedavg", noise).bfloat16())


@pytest.mark.parametrize("name", ["fedavg", "scaffold", "apfl", "perfedavg-hf", "ditto"])
def test_a_model_of_float64_works(noise, name):
    plain, double = (
        federation(name, noise, changing(lambda content: None), model=model).model.to_torch_state_dict()
        for model in (model_for(name, noise), model_for(name, noise).double())
    )
    assert {tensor.dtype for tensor in double.values()} == {torch.float64}
    assert 0 < distance(plain, double) < 1e-5

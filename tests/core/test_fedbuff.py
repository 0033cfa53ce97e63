"""FedBuff: FedAvg where nobody is stale, staleness counted right, and a clock that depends on nothing but the seed."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from noise import noise_images, shards

from fedlearn_helpers import models
from fedlearn_helpers.algorithms.aggregation import state_of, weighted_mean
from fedlearn_helpers.algorithms.local import LocalConfig
from fedlearn_helpers.algorithms.registry import find_algorithm
from fedlearn_helpers.communication.fedbuff import no_weight, run_fedbuff
from fedlearn_helpers.communication.links import HOUR, Clock, draw_links, synchronous_curve
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.experiments.client_app import new_client_app
from fedlearn_helpers.simulation.grid import InProcessGrid

DATA = noise_images(80, 20)
SHARDS = shards((10, 20, 30, 12))
CONFIG = LocalConfig(local_epochs=1, batch_size=8)


def clock(*hours, loss=0.0):
    """Return clients that work so long, on links that take no time worth mentioning."""
    fast = {"bytes_per_second_up": 1e15, "bytes_per_second_down": 1e15, "spread": 1.0, "latency": 0.0}
    return Clock(draw_links(len(hours), **fast, loss=loss, seed=0), np.array(hours) * HOUR)


def new_model():
    return models.new_mlp(DATA.image_shape, DATA.num_classes, 0)


def run_images(times, algorithm="fedavg", **options):
    """Run the workbook's own clients."""
    model = new_model()
    app = new_client_app(find_algorithm(algorithm), DATA, SHARDS, model, local_config=CONFIG, seed=5)
    options = {"buffer_size": 4, "at_work": 4, "seed": 5, "workers": 1, "label": None} | options
    return run_fedbuff(app, ArrayRecord(new_model().state_dict()), times, **options)


def counting_app(fail=()):
    """Return clients whose update is +10^client, whatever they receive; some fail."""
    app = ClientApp()

    @app.train()
    def train(message, context):
        client = context.node_config["partition-id"]
        if client in fail:
            raise ValueError("no battery")
        weights = message.content["arrays"]["w"].numpy() + 10.0**client
        content = {"arrays": ArrayRecord({"w": Array(weights)}), "metrics": MetricRecord({"num-examples": 1})}
        return Message(RecordDict(content), reply_to=message)

    return app


def run_counting(times, app=None, **options):
    options = {"buffer_size": 2, "at_work": 3, "seed": 0, "workers": 1, "label": None} | options
    return run_fedbuff(app or counting_app(), ArrayRecord({"w": Array(np.zeros(1))}), times, **options)


def equal(first, second):
    first, second = state_of(first), state_of(second)
    return all(torch.equal(first[name], second[name]) for name in first)


def uniform_fedavg(num_rounds):
    def equal_weights(states, weights):
        return weighted_mean(states, [1.0] * len(states))

    return federate(
        "fedavg",
        DATA,
        SHARDS,
        num_rounds=num_rounds,
        local_config=CONFIG,
        aggregator=equal_weights,
        seed=5,
        workers=1,
        model=new_model(),
        label=None,
    )


@pytest.mark.parametrize("times", [(1, 1, 1, 1), (0.9, 0.2, 0.5, 1.0)], ids=["equal", "unequal"])
def test_with_a_buffer_of_all_it_is_fedavg_with_equal_weights(times):
    rounds = uniform_fedavg(3)
    result = run_images(clock(*times), hours=3.5)
    assert len(result.curve) == 4 and (result.turns["staleness"] == 0).all()
    assert equal(result.model, rounds.model)
    in_rounds = synchronous_curve(rounds.history, clock(*times))
    assert in_rounds["bytes"].tolist() == result.curve["bytes"].tolist()
    np.testing.assert_allclose(in_rounds["hours"], result.curve["hours"])


def test_with_a_smaller_buffer_it_is_not():
    rounds = uniform_fedavg(3)
    small = run_images(clock(1, 1, 1, 1), hours=3.5, buffer_size=2)
    assert not equal(small.model, rounds.model)
    unweighted = run_images(clock(1, 1, 1, 1), hours=3.5, buffer_size=2, staleness_weight=no_weight)
    assert not equal(small.model, unweighted.model), "the weight counts"
    all_of_them = run_images(clock(1, 1, 1, 1), hours=3.5, staleness_weight=no_weight)
    assert equal(all_of_them.model, rounds.model), "where nobody is stale it does not"


def test_staleness_and_model_of_an_order_made_by_hand():
    """Clients take 1, 1.5 and 10 hours. With a buffer of one, every answer is a version."""
    result = run_counting(clock(1, 1.5, 10), buffer_size=1, hours=4.2)
    turns = result.turns
    assert turns["client"].tolist() == [0, 1, 0, 0, 1, 0]  # at 1, 1.5, 2, 3 (both), 4 hours
    np.testing.assert_allclose(turns["arrived"], [1, 1.5, 2, 3, 3, 4])
    assert turns["base"].tolist() == [0, 0, 1, 3, 2, 5]
    assert turns["staleness"].tolist() == [0, 1, 1, 0, 2, 0]
    assert turns["version"].tolist() == [1, 2, 3, 4, 5, 6]
    assert turns["turn"].tolist() == [0, 0, 1, 2, 1, 3]
    expected = sum(
        10.0**client / math.sqrt(1 + s) for client, s in zip(turns["client"], turns["staleness"], strict=True)
    )
    assert result.model["w"].numpy()[0] == pytest.approx(expected)
    assert result.curve["turns"].tolist() == list(range(7))
    late = run_counting(clock(1, 1.5, 10), buffer_size=1, hours=10.2).turns
    assert late.query("client == 2")["staleness"].tolist() == [len(late.query("arrived < 10.0001 and client < 2"))]


def test_a_client_waits_while_its_answer_is_in_the_buffer():
    result = run_counting(clock(1, 1.5, 2.5), buffer_size=3, hours=5.5)
    assert result.curve["hours"].tolist() == pytest.approx([0, 2.5, 5])
    assert result.model["w"].numpy()[0] == pytest.approx(2 * 111 / 3)


def test_the_clock_is_monotone_and_bytes_are_those_of_the_messages():
    result = run_counting(clock(1, 1.7, 10, 0.3, 2.2), at_work=2, hours=40)
    assert result.turns["arrived"].is_monotonic_increasing and (result.turns["arrived"] <= 40).all()
    assert (result.turns["arrived"] > result.turns["started"]).all()
    assert result.curve["hours"].is_monotonic_increasing and result.curve["bytes"].is_monotonic_increasing
    assert set(result.turns["client"]) == set(range(5))
    for _, turn in result.turns.iterrows():
        running = result.turns.query("started < @turn.arrived and arrived > @turn.started")
        assert (running["client"] == turn["client"]).sum() == 1, "one turn after the other"
    sizes = {(entry.client, entry.round): (entry.bytes_down, entry.bytes_up) for entry in result.history.exchanges}
    for _, turn in result.turns.iterrows():
        assert sizes[turn["client"], turn["turn"] + 1] == (turn["bytes_down"], turn["bytes_up"])


def test_the_same_numbers_with_any_number_of_workers_and_others_with_another_seed():
    slow = Clock(draw_links(4, loss=0.4, away_share=0.5, hours_of_period=6, seed=1), np.array([1.0, 0.4, 2, 3]) * HOUR)
    one, two = (run_images(slow, hours=12, buffer_size=2, at_work=3, workers=workers) for workers in (1, 2))
    assert equal(one.model, two.model)
    assert one.turns.equals(two.turns) and one.curve.equals(two.curve) and len(one.curve) > 3
    other = run_images(slow, hours=12, buffer_size=2, at_work=3, seed=6)
    assert not other.turns["client"].equals(one.turns["client"])


def test_several_clients_train_in_one_batch():
    """What has begun and cannot have arrived yet is asked for together."""
    batches = []
    app = counting_app()
    before = InProcessGrid.push_messages

    def counted(self, messages):
        messages = list(messages)
        batches.append(len(messages))
        return before(self, messages)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InProcessGrid, "push_messages", counted)
        result = run_counting(clock(*np.linspace(1, 2, 10)), app, at_work=10, hours=10)
    assert len(batches) < len(result.turns) / 3


def test_a_client_that_fails_counts_for_nothing_and_is_replaced():
    result = run_counting(clock(1, 1, 1, 1), counting_app(fail=(2,)), at_work=2, hours=9.5, on_error="reply")
    failed = result.turns.query("client == 2")
    assert len(failed) and failed["error"].str.contains("no battery").all() and failed["version"].isna().all()
    assert (failed["weight"] == 0).all() and (failed["bytes_up"] == 0).all()
    assert len(result.curve) > 3 and result.model["w"].numpy()[0] % 100 != 0 and result.model["w"].numpy()[0] > 0
    with pytest.raises(ValueError, match="no battery"):
        run_counting(clock(1, 1, 1), counting_app(fail=(2,)), hours=3)


def test_versions_are_measured():
    measured = run_counting(
        clock(1, 1, 1), hours=5.5, measure=lambda version, arrays: MetricRecord({"w": float(arrays["w"].numpy()[0])})
    )
    assert measured.curve["w"].iloc[0] == 0 and measured.curve["w"].iloc[-1] == measured.model["w"].numpy()[0]


def test_whole_numbers_stay_whole_numbers():
    app = ClientApp()

    @app.train()
    def train(message, context):
        arrays = ArrayRecord({"count": Array(message.content["arrays"]["count"].numpy() + 3)})
        return Message(RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})}), reply_to=message)

    first = ArrayRecord({"count": Array(np.array([7], dtype=np.int64))})
    options = {"buffer_size": 1, "at_work": 1, "hours": 2.5, "seed": 0, "workers": 1, "label": None}
    count = run_fedbuff(app, first, clock(1), **options).model["count"].numpy()
    assert count.dtype == np.int64 and count.tolist() == [13]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"buffer_size": 5},
            "buffer_size must be at most the 4 clients that can answer, since more never come, got 5",
        ),
        ({"buffer_size": 0}, "buffer_size must be a whole number >= 1, got 0"),
        ({"at_work": 5}, "at_work must be at most the 4 clients, got 5"),
        ({"at_work": 0}, "at_work must be a whole number >= 1, got 0"),
        ({"hours": 0}, "hours must be > 0, got 0"),
        ({"hours": math.inf}, "hours must be > 0, got inf"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
    ],
)
def test_bad_input(options, message):
    trained = []
    app = ClientApp()
    app.train()(lambda *_: trained.append(1))
    with pytest.raises(InputError) as caught:
        run_counting(clock(1, 1, 1, 1), app, **{"hours": 2} | options)
    assert str(caught.value) == message and not trained


def test_what_an_update_counts_for_is_a_share():
    with pytest.raises(InputError, match=r"^staleness_weight must be a function to \[0, 1\], got 2"):
        run_counting(clock(1, 1, 1), hours=3, staleness_weight=lambda staleness: 2.0)


def test_an_algorithm_whose_server_needs_more_than_models_is_refused():
    with pytest.raises(InputError, match="client_app must answer with a model in 'arrays' and no other arrays"):
        run_images(clock(1, 1, 1, 1), "scaffold", hours=2)


def test_links_decide_when_answers_arrive():
    near = clock(1, 1, 1)
    far = Clock(replace(near.links, latency=np.array([0.0, 0.0, 1800.0])), near.work_seconds)
    turns = run_counting(far, hours=2.1, buffer_size=3).turns
    np.testing.assert_allclose(turns["arrived"], [1, 1, 2])


def test_a_budget_in_which_nobody_answers():
    result = run_counting(clock(1, 1, 1), hours=0.5)
    assert result.turns.empty and "client" in result.turns and len(result.curve) == 1
    assert result.model["w"].numpy()[0] == 0

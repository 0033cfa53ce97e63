"""What server and clients keep: copies of the model that stay the same, and errors that are sent later."""

from collections import defaultdict

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fedlearn_helpers.algorithms.aggregation import Averaging, weighted_mean
from fedlearn_helpers.communication import Compression, LowRank, Quantization, RandomK, Sign, TopK
from fedlearn_helpers.simulation import simulate
from fedlearn_helpers.simulation.packing import unpack
from fedlearn_helpers.simulation.position import client_of, training_round

SHAPES = {"w": (20, 6), "counter": (), "b": (7,)}
TWO_BITS = Quantization(2, stochastic=False)


def numbers(*place):
    """Return whole numbers, with which sums of floats are exact."""
    draws = np.random.default_rng([5, *place])
    arrays = {name: draws.integers(-9, 10, shape).astype(np.float32) for name, shape in SHAPES.items()}
    return arrays | {"counter": np.array(place[0])}


def record(arrays):
    return ArrayRecord({name: Array(np.asarray(array)) for name, array in arrays.items()})


class Run:
    """A federation whose clients add whole numbers to what they receive.

    Attributes:
        received: by round, what each client received.
        decoded: by client, the sum of the updates that the server has read.
        trained: by client, the sum of those of its rounds that did not fail.
    """

    def __init__(self, compression, *, rounds=12, fails=None, still_from=99, fraction=1.0, clients=3):
        self.received, self.states = defaultdict(list), {}
        self.trained = defaultdict(lambda: np.zeros((20, 6)))
        self.decoded = defaultdict(lambda: np.zeros((20, 6)))
        first, app, server = record(numbers(0)), ClientApp(), ServerApp()
        strategy = Averaging(fraction_train=fraction, fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1)

        @app.train(mods=[compression.around_client(first, 0)])
        def train(message, context):
            place = training_round(message.content), client_of(context)
            got = {name: array.numpy() for name, array in message.content["arrays"].items()}
            self.received[place[0]].append(got)
            change = numbers(*place)["w"] if place[0] < still_from else np.zeros((20, 6), np.float32)
            if place == fails:
                return Message(Error(100, "away"), reply_to=message)
            self.trained[place[1]] += change
            arrays = record(got | {"w": got["w"] + change, "counter": np.array(place[0])})
            metrics = MetricRecord({"num-examples": 1, "client": place[1]})
            return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

        def read(answers):
            for answer in answers:
                update = answer.state["w"].numpy() - strategy.sent["w"].numpy()
                self.decoded[int(answer.metrics["client"])] += update
            return weighted_mean([answer.state for answer in answers], [1.0] * len(answers))

        strategy.combine = read
        around = compression.around_server(strategy, first, 0)

        @server.main()
        def main(grid, context):
            self.arrays = around.start(grid, first, num_rounds=rounds).arrays

        simulate(server, app, num_clients=clients, seed=0, workers=1, on_error="reply", states=self.states, label=None)

    def rest(self, client):
        """Return what a client has not sent yet."""
        kept = unpack(self.states[client])
        name = next(name for name in kept if name.startswith("compression-rest/"))
        return kept[name]["w"].numpy()


@pytest.mark.slow
@pytest.mark.parametrize("down", [TWO_BITS, Sign(), TopK(0.1), LowRank(2), RandomK(0.2, scaled=False)], ids=repr)
@pytest.mark.parametrize("fraction", [1.0, 0.6])
def test_all_clients_of_a_round_have_the_same_copy(down, fraction):
    run = Run(Compression(up=Quantization(8), down=down), fails=(2, 1), fraction=fraction)
    for server_round, copies in run.received.items():
        for copy in copies:
            assert set(copy) == set(SHAPES)
            for name, array in copy.items():
                np.testing.assert_array_equal(array, copies[0][name])
            assert copy["counter"] == server_round - 1  # whole numbers arrive as they are


@pytest.mark.slow
@pytest.mark.parametrize("down", [TopK(0.2), TWO_BITS, Quantization(4), RandomK(0.5, scaled=False)], ids=repr)
def test_what_a_message_lacks_is_in_a_later_one(down):
    """Once the model stands still, the copies reach it."""
    run = Run(Compression(down=down), rounds=60, still_from=4)
    before, after = run.received[5][0]["w"], run.received[60][0]["w"]
    reached = run.arrays["w"].numpy()
    assert np.abs(before - reached).max() > 0.01
    assert np.abs(after - reached).max() < 0.01 * np.abs(before - reached).max() + 1e-5


@pytest.mark.parametrize("up", [TopK(0.1), RandomK(0.2, scaled=False, feedback=True), Sign(), LowRank(1)], ids=repr)
def test_sent_and_kept_are_the_updates_though_a_client_fails_once(up):
    run = Run(Compression(up=up), fails=(3, 1))
    for client in range(3):
        np.testing.assert_allclose(run.decoded[client] + run.rest(client), run.trained[client], atol=2e-4)
        assert np.abs(run.rest(client)).max() > 1


def test_without_feedback_something_is_lost():
    run = Run(Compression(up=TopK(0.1, feedback=False)))
    assert np.abs(run.decoded[0] - run.trained[0]).max() > 1
    assert 0 not in run.states  # nothing is kept for later


def test_an_error_stays_with_the_round_that_failed():
    """What a client computed in the round in which it failed is in no later message."""
    up = TopK(0.1)
    run, never = Run(Compression(up=up), fails=(12, 1)), Run(Compression(up=up), rounds=11)
    np.testing.assert_array_equal(run.rest(1), never.rest(1))
    assert not np.array_equal(run.rest(0), never.rest(0))

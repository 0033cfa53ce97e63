"""Federations with secure aggregation: the same model, clients that fail in any stage, and what is refused."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, ConfigRecord, Error, Message
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import (
    DifferentialPrivacyClientSideFixedClipping,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedMedian,
    FedTrimmedAvg,
    Krum,
    QFedAvg,
)
from noise import SIZES, failing, noise_images, shards, weights_of
from noise import distance as largest_difference
from noise import federation as run
from test_secure_aggregation_parts import UNIFORM, chi_square

from fedlearn_helpers.algorithms import ALGORITHMS, LocalConfig, find_algorithm
from fedlearn_helpers.algorithms.aggregation import uniform_mean
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.experiments.client_app import new_client_app
from fedlearn_helpers.models import new_mlp
from fedlearn_helpers.privacy.secure_aggregation import FixedPoint, SecureAggregation, secure_sum
from fedlearn_helpers.simulation import simulate
from fedlearn_helpers.simulation.position import client_of, training_round

pytestmark = pytest.mark.slow  # whole federations

SECURE = SecureAggregation(2, 1.0, most_examples=max(SIZES), bits=24)
STEP = FixedPoint(1.0, 24).step
STAGES = ("advertise", "share", "train", "reveal")
ENOUGH = [
    name for name in ALGORITHMS if name not in ("qfedavg", "scaffold", "fednova", "feddyn", "ifca")
]  # whose servers need the mean alone


@pytest.fixture(scope="module")
def noise():
    return noise_images(80, 20)


def distance(first, second):
    return largest_difference(weights_of(first), weights_of(second))


@dataclass
class Spied:
    """Secure aggregation whose messages are looked at, and whose clients may fail in a stage.

    Attributes:
        fails: called with client, round and stage.
        seen: (round, client, stage, content of the reply), as the server gets it.
    """

    inner: Any
    fails: Any = lambda *place: False
    seen: list = field(default_factory=list)

    def around_server(self, strategy, first, seed):
        return self.inner.around_server(strategy, first, seed)

    def around_client(self, first, seed):
        mod = self.inner.around_client(first, seed)

        def spy(message, context, call_next):
            place = training_round(message.content), client_of(context)
            stage = message.content["secure-aggregation"]["stage"]
            if self.fails(place[1], place[0], stage):
                return Message(Error(100, "away"), reply_to=message)
            reply = mod(message, context, call_next)
            self.seen.append((*place, stage, reply.content))
            return reply

        return spy

    def masked(self):
        return {(r, k): content["masked"]["masked"].numpy() for r, k, stage, content in self.seen if stage == "train"}


# The same model --------------------------------------------------------------------------


def largest_error(counts):
    """Return what the mean of clients with so many examples can be off by: by fixed point, and by float32."""
    return STEP / 2 * len(counts) * max(SIZES) / sum(counts) + 1e-7


def test_one_round_is_off_by_no_more_than_fixed_point_allows(noise):
    plain, secure = run(noise, 1), run(noise, 1, transport=SECURE)
    assert 0 < distance(plain, secure) <= largest_error(SIZES)
    coarse = run(noise, 1, transport=replace(SECURE, bits=10))
    assert largest_error(SIZES) < distance(plain, coarse) <= 2**14 * largest_error(SIZES)


@pytest.mark.parametrize("algorithm", ENOUGH)
def test_every_algorithm_that_needs_the_mean_alone(noise, algorithm):
    plain, secure = run(noise, algorithm=algorithm), run(noise, algorithm=algorithm, transport=SECURE)
    assert distance(plain, secure) < 2e-5
    np.testing.assert_allclose(plain.members.own, secure.members.own, atol=0.13)  # of 8 images each


@pytest.mark.parametrize("algorithm", ["fedavg", "fedavgm"])
def test_a_client_that_fails_is_left_out_of_the_mean(noise, algorithm):
    options = {"algorithm": algorithm, "mods": [failing(1, 2)], "on_error": "reply"}
    plain, secure = run(noise, **options), run(noise, transport=SECURE, **options)
    assert distance(plain, secure) < 5e-6
    assert distance(plain, run(noise, algorithm=algorithm)) > 1e-4
    assert len(secure.history.failures) == 1
    assert list(secure.history.rounds["train_answered"])[1:] == [3, 2, 3]


@pytest.mark.parametrize("stage", STAGES)
def test_a_client_may_fail_in_any_stage(noise, stage):
    spied = Spied(SECURE, lambda client, server_round, at: (client, server_round, at) == (2, 2, stage))
    plain = run(noise, mods=[] if stage == "reveal" else [failing(2, 2)], on_error="reply")
    secure = run(noise, transport=spied, on_error="reply")
    assert distance(plain, secure) < 5e-6
    answered = 3 if stage == "reveal" else 2
    assert list(secure.history.rounds["train_answered"])[1:] == [3, answered, 3]


def test_flowers_own_strategies(noise):
    options = {"fraction_evaluate": 0.0, "min_train_nodes": 1, "min_available_nodes": 1}
    for strategy in (FedAvg, FedAvgM, FedAdam):
        plain = run(noise, algorithm=lambda kind=strategy: kind(**options))
        secure = run(noise, algorithm=lambda kind=strategy: kind(**options), transport=SECURE)
        assert distance(plain, secure) < 1e-4


def test_part_of_the_clients_in_a_round(noise):
    options = {"fraction_train": 0.67}
    plain, secure = run(noise, 4, **options), run(noise, 4, transport=SECURE, **options)
    assert distance(plain, secure) < 5e-6
    assert set(secure.history.rounds["train_asked"][1:]) == {2} == set(secure.history.rounds["clients"][1:])


@pytest.mark.parametrize("transport", [SECURE, replace(SECURE, teaching_seed=3)], ids=["system", "teaching"])
def test_workers_and_stops_change_nothing(noise, transport, tmp_path):
    options = {"transport": transport, "algorithm": "fedavgm", "mods": [failing(1, 2)], "on_error": "reply"}
    whole = run(noise, 4, **options)
    assert distance(whole, run(noise, 4, workers=2, **options)) == 0
    run(noise, 2, checkpoint=tmp_path / "run", **options)
    assert distance(whole, run(noise, 4, checkpoint=tmp_path / "run", **options)) == 0


# What is seen ----------------------------------------------------------------------------


def test_secrets_differ_between_runs_and_the_model_does_not(noise):
    first, second = Spied(SECURE), Spied(SECURE)
    assert distance(run(noise, transport=first), run(noise, transport=second)) == 0
    for place, masked in first.masked().items():
        assert (masked != second.masked()[place]).mean() > 0.99
    taught = [Spied(replace(SECURE, teaching_seed=seed)) for seed in (1, 1, 2)]
    for spied in taught:
        run(noise, transport=spied)
    one, same, other = (spied.masked() for spied in taught)
    assert all(np.array_equal(one[place], same[place]) and (one[place] != other[place]).any() for place in one)
    assert (one[1, 0] != one[2, 0]).any()


def test_the_server_sees_uniform_vectors_and_no_metrics(noise):
    spied = Spied(SECURE)
    secure = run(noise, transport=spied)
    for masked in spied.masked().values():
        assert chi_square(masked >> 24) < UNIFORM
    assert all(not content.metric_records for *_, content in spied.seen)
    assert all(not entry.metrics and entry.examples is None for entry in secure.history.exchanges)
    assert {"train_loss", "loss"}.isdisjoint(secure.history.rounds)


def test_bytes_are_those_of_the_messages(noise):
    size = sum(tensor.numel() for tensor in new_mlp(noise.image_shape, noise.num_classes, 0).state_dict().values())
    plain, secure = run(noise, 1), run(noise, 1, transport=SECURE)
    bare = secure_sum([np.zeros(size + 1, np.uint32)] * 3, threshold=2)
    for client in range(3):
        mine = secure.history.clients.query(f"client == {client} and phase == 'train'")
        assert list(mine["bytes_up"])[:2] == [64, 2 * 168]
        assert mine["bytes_up"].sum() == bare.bytes_up[client] + 128  # Flower's header of one array
        model = plain.history.clients.query(f"client == {client}")["bytes_down"].sum()
        assert mine["bytes_down"].sum() == bare.bytes_down[client] + model
    assert secure.history.bytes_up == sum(bare.bytes_up.values()) + 3 * 128


def test_secrets_are_in_the_state_between_stages_and_gone_after_the_round(noise):
    model = new_mlp(noise.image_shape, noise.num_classes, 0)
    first, states = ArrayRecord(model.state_dict()), {}
    held = []

    def spy(message, context, call_next):
        held.append("secure-aggregation" in context.state)
        return call_next(message, context)

    def federation(transport, on_error):
        strategy = transport.around_server(FedAvg(fraction_evaluate=0.0), first, 0)
        server_app = ServerApp()

        @server_app.main()
        def main(grid, context):
            strategy.start(grid, first, num_rounds=2, train_config=ConfigRecord({}))

        client_app = new_client_app(
            find_algorithm("fedavg"),
            noise,
            shards(SIZES),
            model,
            local_config=LocalConfig(batch_size=4),
            seed=0,
            mods=(spy, transport.around_client(first, 0)),
        )
        options = {"num_clients": 3, "seed": 0, "workers": 1, "states": states, "label": None, "on_error": on_error}
        return simulate(server_app, client_app, **options)

    federation(SECURE, "raise")
    assert held == [*[False] * 3, *[True] * 9] * 2
    assert states == {}
    federation(Spied(SECURE, lambda client, server_round, at: (client, server_round, at) == (1, 2, "train")), "reply")
    assert set(states) == {1}  # it failed with its secrets in its state
    federation(SECURE, "raise")
    assert states == {}


# Rounds that are lost --------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "exchanges"), [("advertise", 3), ("share", 6), ("train", 9), ("reveal", 12)])
def test_a_round_with_too_few_clients_reveals_nothing_and_says_so(noise, stage, exchanges):
    spied = Spied(SECURE, lambda client, server_round, at: client > 0 and (server_round, at) == (2, stage))
    with pytest.warns(
        UserWarning, match="^round 2: 2 members are needed to .*, and 1 answered, so nothing is unmasked"
    ):
        lost = run(noise, 2, transport=spied, on_error="reply")
    assert distance(lost, run(noise, 1, transport=SECURE)) == 0
    entries = [entry for entry in lost.history.exchanges if entry.round == 2]
    assert len(entries) == exchanges and sum(entry.error is not None for entry in entries) == 2
    assert list(lost.history.rounds["train_answered"])[1:] == [3, 1]
    with pytest.warns(UserWarning, match="^round 2"):  # and the next round is one like any other
        after = run(noise, 3, transport=Spied(SECURE, spied.fails), on_error="reply")
    assert list(after.history.rounds["train_answered"])[1:] == [3, 1, 3]
    assert distance(after, lost) > 1e-4


# What is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", sorted(set(ALGORITHMS) - set(ENOUGH)))
def test_algorithms_that_need_more_than_the_mean_are_refused(noise, algorithm):
    with pytest.raises(InputError, match="^SecureAggregation must have a server that needs nothing but the weighted"):
        run(noise, algorithm=algorithm, transport=SECURE)


def median(states, weights):
    return {name: torch.stack([state[name] for state in states]).median(dim=0).values for name in states[0]}


@pytest.mark.parametrize("aggregator", [median, uniform_mean])
def test_another_aggregator_is_refused(noise, aggregator):
    with pytest.raises(InputError, match=f"got Averaging, whose aggregator is '{aggregator.__name__}'"):
        run(noise, aggregator=aggregator, transport=SECURE)


class CountsReplies(FedAvg):
    def aggregate_train(self, server_round, replies):
        return super().aggregate_train(server_round, list(replies)[:2])


SOME = {"fraction_evaluate": 0.0, "min_train_nodes": 1, "min_available_nodes": 1}


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        (lambda: FedMedian(**SOME), "FedMedian, which has a rule of its own"),
        (lambda: FedTrimmedAvg(**SOME), "FedTrimmedAvg, which has a rule of its own"),
        (lambda: Krum(**SOME), "Krum, which has a rule of its own"),
        (lambda: QFedAvg(client_learning_rate=0.1, **SOME), "QFedAvg, which has a rule of its own"),
        (lambda: CountsReplies(**SOME), "CountsReplies, which has a rule of its own for replies, 'aggregate_train'"),
        (lambda: FedAvg(weighted_by_key="loss", **SOME), "FedAvg, which weighs by 'loss'"),
        (lambda: FedAvg(train_metrics_aggr_fn=lambda a, b: None, **SOME), "which has a train_metrics_aggr_fn"),
        (
            lambda: DifferentialPrivacyClientSideFixedClipping(FedAvg(**SOME), 1.0, 1.0, 3),
            "DifferentialPrivacyClientSideFixedClipping, which is not made of FedAvg",
        ),
    ],
)
def test_flowers_strategies_that_need_more_are_refused(noise, strategy, reason):
    with pytest.raises(InputError, match=reason):
        run(noise, algorithm=strategy, transport=SECURE)


def test_a_client_that_sends_more_than_a_model_is_refused(noise):
    def send_more(local):
        local.train()
        content = local.reply()
        content["more"] = ArrayRecord(local.model.state_dict())
        return content

    with pytest.raises(InputError, match="^a client's reply must have one model and no other arrays .* got 'more'"):
        run(noise, algorithm=replace(find_algorithm("fedavg"), train_client=send_more), transport=SECURE)


def test_batch_norm_is_refused(noise):
    layers = torch.nn.Flatten(), torch.nn.Linear(256, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3)
    with pytest.raises(InputError, match="^model must have floats alone .*int64 in '2.num_batches_tracked'"):
        run(noise, model=torch.nn.Sequential(*layers), transport=SECURE)


@pytest.mark.parametrize(
    ("transport", "message"),
    [
        (replace(SECURE, threshold=4), "^threshold must be at most the 3 members, got 4"),
        (replace(SECURE, bits=31), "^bits must be at most 30 for 3 clients"),
        (replace(SECURE, most_examples=2**31 - 1), "^most_examples must be at most 1431655765 for 3 clients"),
        (replace(SECURE, bound=1e-4), "^bound must be that of all updates .*must have numbers between -0.0001 and"),
        (replace(SECURE, most_examples=39), "^most_examples must be at least .*whole numbers from 0 to 39, got 40"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(noise, transport, message):
    with pytest.raises(InputError, match=message):
        run(noise, transport=transport)


def test_a_threshold_of_half_the_clients_is_refused(noise):
    options = {"num_rounds": 1, "seed": 0, "workers": 1, "label": None, "local_config": LocalConfig(batch_size=4)}
    four = shards((12, 12, 12, 12))
    with pytest.raises(InputError, match="^threshold must be more than half of the 4 members, so at least 3"):
        federate("fedavg", noise, four, transport=SECURE, **options)
    federate("fedavg", noise, four, transport=replace(SECURE, threshold=3), **options)


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 1},
        {"threshold": 2.5},
        {"bound": 0.0},
        {"bound": np.nan},
        {"bits": 1},
        {"bits": 32},
        {"most_examples": 0},
        {"most_examples": 2**32},
        {"teaching_seed": -1},
        {"teaching_seed": "a"},
    ],
)
def test_arguments_out_of_range(options):
    with pytest.raises(InputError, match=f"^{next(iter(options))} must be"):
        replace(SECURE, **options)


def test_diverged_training_is_told_at_the_client(noise):
    with pytest.raises(InputError, match="cannot be used: 'arrays' has numbers that are not finite"):
        run(noise, 3, transport=SECURE, local_config=LocalConfig(batch_size=4, learning_rate=1e30))

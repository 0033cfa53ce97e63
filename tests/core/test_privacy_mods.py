"""Private averaging in a federation: noise that is claimed against noise that is measured, in all three places."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping, FedAvg
from noise import SIZES, federation, noise_images, weights_of

from fedlearn_helpers.algorithms.aggregation import uniform_mean
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments.value_key import function_key
from fedlearn_helpers.models import new_mlp
from fedlearn_helpers.privacy.clipping import norm_of
from fedlearn_helpers.privacy.mods import clip_mod, noise_mod
from fedlearn_helpers.privacy.noisy_mean import NoisyMean

CLIENTS = len(SIZES)  # of different sizes
C = 0.15  # below the norms of all updates of `federation`
TOLERANCE = 0.02  # of a standard deviation of 16,707 numbers: 3.7 times its own standard deviation


@pytest.fixture(scope="module")
def images():
    return noise_images(80, 20)


def first_weights(images):
    return new_mlp(images.image_shape, images.num_classes, 0).state_dict()


def step_of(result, images):
    """Return how far the server's model is from the first."""
    return minus(weights_of(result), first_weights(images))


def minus(first, second):
    return {name: first[name] - second[name] for name in first}


def clean(images, clip_norm=C, **options):
    return federation(images, 1, mods=[clip_mod(clip_norm)], **options)


def numbers(state):
    return torch.cat([tensor.double().flatten() for tensor in state.values()])


def assert_is_noise(difference, standard_deviation):
    """Check that numbers have this standard deviation, mean 0, and a Gaussian's share within one deviation."""
    drawn = numbers(difference)
    assert len(drawn) > 10_000
    assert drawn.std().item() == pytest.approx(standard_deviation, rel=TOLERANCE)
    assert abs(drawn.mean().item()) < 4 * standard_deviation / len(drawn) ** 0.5
    assert (drawn.abs() < standard_deviation).double().mean().item() == pytest.approx(0.6827, abs=0.02)


# The noise


@pytest.mark.parametrize("z", [0.5, 2])
def test_the_servers_noise_is_what_it_claims(images, z):
    noisy = clean(images, aggregator=NoisyMean(C, z, 0))
    assert_is_noise(minus(weights_of(noisy), weights_of(clean(images))), z * C / CLIENTS)


@pytest.mark.parametrize("z", [0.5, 2])
def test_the_noise_of_all_clients_is_as_much_together(images, z):
    share = z * C / CLIENTS**0.5
    noisy = federation(images, 1, mods=[noise_mod(share, 0), clip_mod(C)])
    assert_is_noise(minus(weights_of(noisy), weights_of(clean(images))), z * C / CLIENTS)


def flowers(z):
    """Return what makes Flower's own strategy."""
    average = FedAvg(fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1)
    return lambda: DifferentialPrivacyServerSideFixedClipping(average, z, C, CLIENTS)


@pytest.mark.parametrize("z", [1, 2])
def test_flowers_noise_is_what_it_claims(images, z):
    noisy, plain = (federation(images, 1, flowers(multiplier)) for multiplier in (z, 0))
    assert_is_noise(minus(weights_of(noisy), weights_of(plain)), z * C / CLIENTS)


def test_flowers_weights_by_examples_let_one_client_move_more_than_its_noise_assumes(images):
    """One client alone trains, and moves the model by 40 of 72 examples, not by 1 of 3 clients."""
    step = norm_of(step_of(federation(images, 1, flowers(0), mods=[only(2)]), images))
    assert step == pytest.approx(C * 40 / 72, rel=1e-3)
    assert step > 1.6 * C / CLIENTS


def only(trains):
    """Return a mod with which one client alone changes the model; the others by next to nothing."""

    def stay(message, context, call_next):
        received = message.content.array_records["arrays"].to_torch_state_dict()
        reply = call_next(message, context)
        if context.node_config["partition-id"] != trains:
            received["3.bias"] += 1e-6  # Flower divides by the norm of an update
            reply.content["arrays"] = ArrayRecord(received)
        return reply

    return stay


def test_noise_differs_by_round_client_and_seed():
    def noise_of(server_round, client, seed):
        """Return what the mod adds to zeros."""
        context = SimpleNamespace(node_config={"partition-id": client})
        message = message_of(server_round, num_examples=40)
        result = noise_mod(1.0, seed)(message, context, lambda *_: message_of(server_round, num_examples=1))
        return result.content.array_records["arrays"].to_torch_state_dict()["a"].numpy()

    drawn = [noise_of(*place) for place in ((1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1))]
    np.testing.assert_array_equal(drawn[0], noise_of(1, 0, 0))
    together = np.corrcoef(drawn) - np.eye(len(drawn))
    assert np.abs(together).max() < 0.03


def message_of(server_round, num_examples):
    """Return what a mod looks at in a message or a reply, with 20,000 zeros."""
    content = RecordDict(
        {
            "arrays": ArrayRecord({"a": torch.zeros(20_000)}),
            "config": ConfigRecord({"server-round": server_round}),
            "metrics": MetricRecord({"num-examples": num_examples}),
        }
    )
    return SimpleNamespace(content=content, has_error=lambda: False)


def test_rounds_get_different_noise():
    """The same noise in each of two rounds would add up to twice one, and not to sqrt(2) of it."""
    aggregator = NoisyMean(C, 1, 0)
    states = [[{"a": torch.full((20_000,), value)}] for value in (0.0, 1e-3)]
    first, second = (aggregator(state, [1])["a"] - state[0]["a"] for state in states)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0, abs=0.03)
    assert torch.equal(aggregator(states[0], [1])["a"], first)
    assert not torch.equal(NoisyMean(C, 1, 1)(states[0], [1])["a"], first)


# The mean


def test_no_clipping_and_no_noise_is_the_uniform_fedavg(images):
    def count_as_one(message, context, call_next):
        reply = call_next(message, context)
        reply.content.metric_records["metrics"]["num-examples"] = 1
        return reply

    private = federation(images, mods=[clip_mod(1e9)], aggregator=NoisyMean(1e9, 1e-18, 0))
    uniform = federation(images, mods=[count_as_one])
    by_examples = federation(images)
    assert numbers(minus(weights_of(private), weights_of(uniform))).abs().max() < 1e-6
    assert numbers(minus(weights_of(private), weights_of(by_examples))).abs().max() > 1e-4


def test_clipping_bounds_the_servers_step(images):
    assert norm_of(step_of(federation(images, 1), images)) > C  # without it, the bound is exceeded
    assert norm_of(step_of(clean(images), images)) <= C * (1 + 1e-5)
    for bound in (0.01, 0.05):
        step = norm_of(step_of(clean(images, bound), images))
        assert 0.1 * bound < step <= bound * (1 + 1e-4)


def test_a_single_client_moves_the_mean_by_c_over_m_whatever_its_size(images):
    for client in range(CLIENTS):
        bound = 0.05
        alone = federation(images, 1, mods=[clip_mod(bound), only(client)])
        assert norm_of(step_of(alone, images)) == pytest.approx(bound / CLIENTS, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["server", "clients"])
def test_the_same_bits_with_workers_and_after_a_stop(images, place, tmp_path):
    def run(num_rounds=3, seed=0, **options):
        if place == "server":
            mods, aggregator = [clip_mod(C)], NoisyMean(C, 0.5, seed)
        else:
            mods, aggregator = [noise_mod(0.1, seed), clip_mod(C)], None
        return weights_of(federation(images, num_rounds, mods=mods, aggregator=aggregator, **options))

    whole, file = run(), tmp_path / "run"
    run(1, checkpoint=file)
    for again in (run(), run(workers=2), run(checkpoint=file)):
        assert all(torch.equal(tensor, whole[name]) for name, tensor in again.items())
    assert not torch.equal(numbers(run(seed=1)), numbers(whole))
    with pytest.raises(InputError, match="mods" if place == "clients" else "aggregator"):
        run(4, seed=1, checkpoint=file)


def test_keys_tell_private_means_apart():
    keys = {function_key(NoisyMean(*arguments)) for arguments in ((1, 1, 0), (2, 1, 0), (1, 2, 0), (1, 1, 1))}
    assert len(keys) == 4
    assert function_key(NoisyMean(1, 1, 0)) == function_key(NoisyMean(1, 1, 0))
    mods = {function_key(mod) for mod in (clip_mod(1), clip_mod(2), noise_mod(1, 0), noise_mod(2, 0), noise_mod(1, 1))}
    assert len(mods) == 5


def test_whole_numbers_are_averaged_without_noise():
    states = [{"a": torch.zeros(3), "counter": torch.tensor(number)} for number in (2, 4)]
    mean = NoisyMean(1, 1, 0)(states, [1, 1])
    assert mean["counter"] == 3 and (mean["a"] != 0).all()


def test_the_mean_of_nobodys_noise_is_the_mean():
    states = [{"a": torch.tensor([number, 1.0])} for number in (0.0, 1.0)]
    assert torch.equal(NoisyMean(1, 0, 0)(states, [3, 3])["a"], uniform_mean(states)["a"])


# What is refused


@pytest.mark.parametrize("make", [clip_mod, lambda value: NoisyMean(value, 1, 0)])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, None, "1"])
def test_a_clip_norm_that_is_none(make, value):
    with pytest.raises(InputError, match="clip_norm must be > 0"):
        make(value)


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, None, "1"])
def test_noise_that_is_none(value):
    with pytest.raises(InputError, match="noise_multiplier must be >= 0"):
        NoisyMean(1, value, 0)
    with pytest.raises(InputError, match="standard_deviation must be >= 0"):
        noise_mod(value, 0)


@pytest.mark.parametrize("seed", [-1, None, 1.5, 2**63])
def test_a_seed_that_is_none(seed):
    for make in (lambda: NoisyMean(1, 1, seed), lambda: noise_mod(1, seed)):
        with pytest.raises(InputError, match="seed must be"):
            make()


def test_weights_that_differ(images):
    with pytest.raises(InputError, match=r"weights must be equal.*\[12.0, 20.0, 40.0\].*clip_mod"):
        federation(images, 1, aggregator=NoisyMean(C, 1, 0))
    with pytest.raises(InputError, match="weights must have one entry per model"):
        NoisyMean(C, 1, 0)([], [])


def test_updates_that_nobody_has_clipped_to_the_bound(images):
    with pytest.raises(InputError, match="updates must be clipped to clip_norm"):
        federation(images, 1, mods=[clip_mod(1.0)], aggregator=NoisyMean(0.001, 1, 0))
    opposite = [{"a": torch.tensor([length, 5.0])} for length in (-1.0, 1.0)]
    NoisyMean(1, 0, 0)(opposite, [1, 1])  # as far apart as two clipped ones can be
    with pytest.raises(InputError, match="at a distance of 1 from the mean"):
        NoisyMean(0.99, 0, 0)(opposite, [1, 1])


@pytest.mark.parametrize("mods", [[noise_mod(1, 0)], [clip_mod(C), noise_mod(1, 0)]], ids=["no clipping", "order"])
def test_noise_before_clipping(images, mods):
    with pytest.raises(InputError, match="num-examples must be 1 before noise is added"):
        federation(images, 1, mods=mods)


def test_arrays_that_would_be_sent_without_protection(images):
    with pytest.raises(InputError, match="must have the trained model as its only arrays"):
        federation(images, 1, "scaffold", mods=[clip_mod(C)])


def test_a_training_that_diverged(images):
    def diverge(message, context, call_next):
        reply = call_next(message, context)
        weights = reply.content.array_records["arrays"].to_torch_state_dict()
        reply.content["arrays"] = ArrayRecord({name: tensor * math.nan for name, tensor in weights.items()})
        return reply

    with pytest.raises(InputError, match="reply of client 0 cannot be used.*not finite"):
        federation(images, 1, mods=[clip_mod(C), diverge])


def test_a_client_that_fails_is_left_out(images):
    def fail(message, context, call_next):
        if context.node_config["partition-id"] == 1:
            return Message(Error(100, "away"), reply_to=message)
        return call_next(message, context)

    mods = [noise_mod(0.01, 0), clip_mod(C), fail]
    result = federation(images, 1, mods=mods, aggregator=NoisyMean(100, 0, 0), on_error="reply")
    assert 0 < norm_of(step_of(result, images)) < 0.01 * 16_707**0.5 + C

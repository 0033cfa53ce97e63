"""Many devices: sums in any grouping give one mean, and a server's load is arithmetic."""

import math
import weakref
from fractions import Fraction

import pytest
import torch
from noise import federation, noise_images, weights_of

from fedlearn_helpers.algorithms.aggregation import weighted_mean
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.on_device.scale import load, measure_messages, running_mean, tree_mean, tree_of

FAN_OUTS = (2, 3, 10, 100)


def states_of(count, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.int64:
        return [{"a": torch.randint(-1000, 1000, (4, 3), generator=generator)} for _ in range(count)]
    return [
        {"a": torch.randn(4, 3, generator=generator), "b": torch.randn(5, generator=generator)} for _ in range(count)
    ]


def weights_up_to(count, seed=1):
    return torch.randint(1, 600, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


@pytest.mark.parametrize("fan_out", FAN_OUTS)
@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 101, 250])
def test_a_tree_gives_the_mean_of_one_server(count, fan_out):
    states, weights = states_of(count), weights_up_to(count)
    flat, tree = weighted_mean(states, weights), tree_mean(states, weights, fan_out)
    for name, expected in flat.items():
        assert tree[name].dtype == torch.float32
        torch.testing.assert_close(tree[name], expected, atol=1e-6, rtol=1e-6)
        exact = sum(w * s[name].double() for w, s in zip(weights, states, strict=True)) / sum(weights)
        torch.testing.assert_close(tree[name].double(), exact, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("fan_out", FAN_OUTS)
def test_whole_numbers_are_averaged_exactly(fan_out):
    states, weights = states_of(101, torch.int64), weights_up_to(101)
    tree = tree_mean(states, weights, fan_out)["a"]
    assert torch.equal(tree, running_mean(iter(states), iter(weights))["a"])
    for row, column in ((0, 0), (1, 2), (3, 1)):
        whole = sum(weight * state["a"][row, column].item() for weight, state in zip(weights, states, strict=True))
        assert tree[row, column].item() == float(Fraction(whole, sum(weights)))


def test_means_of_means_are_another_mean():
    """What would come out if aggregators sent means without their weights."""
    states, weights = states_of(10), [1] * 9 + [500]
    halves = [weighted_mean(states[:5], weights[:5]), weighted_mean(states[5:], weights[5:])]
    wrong = weighted_mean(halves, [1, 1])["a"]
    assert (wrong - tree_mean(states, weights, 5)["a"]).abs().max() > 0.1


def test_a_running_mean_is_the_mean_and_holds_one_model_at_a_time():
    alive: list[weakref.ref] = []
    most = []

    def arriving():
        for number in range(50):
            tensor = torch.full((4, 3), float(number))
            alive.append(weakref.ref(tensor))
            most.append(sum(reference() is not None for reference in alive))
            yield {"a": tensor}

    assert running_mean(arriving(), range(50))["a"][0, 0].item() == pytest.approx(33)  # sum k^2 / sum k
    assert max(most) <= 2  # the one before is forgotten when the next one has come

    alive.clear(), most.clear()
    assert weighted_mean(list(arriving()), range(50))["a"][0, 0].item() == pytest.approx(33)
    assert max(most) == 50  # who holds all of them is found out


def test_a_tree_is_an_aggregator_of_a_federation():
    images = noise_images(80, 20)
    flat = weights_of(federation(images, 2))
    tree = weights_of(federation(images, 2, aggregator=lambda states, weights: tree_mean(states, weights, 2)))
    assert max((flat[name] - tree[name]).abs().max().item() for name in flat) < 1e-5


@pytest.mark.parametrize(("devices", "fan_out"), [(1, 2), (7, 2), (8, 2), (9, 2), (1000, 10), (1001, 10), (10**6, 100)])
def test_the_tree_has_as_many_levels_as_the_logarithm_says(devices, fan_out):
    tree = tree_of(devices, fan_out)
    depth = 0
    while fan_out**depth < devices:  # without rounding
        depth += 1
    assert tree.depth == len(tree.levels) == max(depth, 1)
    assert tree.levels[-1] == 1
    below = devices
    for nodes in tree.levels:
        assert nodes == math.ceil(below / fan_out)
        below = nodes
    assert 1 <= tree.root_messages <= fan_out


def test_a_million_devices():
    found = load(10**6, share=0.1, rounds_a_day=24, model_bytes=250_000, message_seconds=1e-3)
    assert found.participants == 100_000
    assert found.messages_a_second == pytest.approx(2 * 2_400_000 / 86_400)
    assert found.bytes_a_day == 2 * 2_400_000 * 250_000  # 1.2 TB
    assert found.cores == pytest.approx(2400 / 86_400)
    assert (found.all_models, found.running_sum) == (25_000_000_000, 750_000)
    assert load(10, share=0.01, rounds_a_day=1, model_bytes=1, message_seconds=0).participants == 1


def test_messages_are_counted_and_those_who_do_not_take_part_cost_nothing():
    state = {"w": torch.zeros(10, 10)}
    few = measure_messages(100, share=1.0, state=state, num_rounds=2, seed=0)
    many = measure_messages(100_000, share=0.001, state=state, num_rounds=2, seed=0)
    assert (few.participants, few.messages) == (many.participants, many.messages) == (100, 200)
    assert few.message_seconds == few.seconds / 200
    assert many.seconds < 5 * few.seconds + 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tree_mean(states_of(2), [1, 1], 1), "fan_out must be a whole number >= 2, got 1"),
        (lambda: tree_mean([], [], 2), "at least one model"),
        (lambda: tree_mean(states_of(2), [1], 2), "shorter"),
        (lambda: tree_mean(states_of(2), [1, math.nan], 2), "finite"),
        (lambda: tree_mean(states_of(2), [0, 0], 2), "not all zero"),
        (lambda: running_mean(states_of(2), [1]), "shorter"),
        (lambda: running_mean(states_of(2), [1, -1]), "finite, >= 0"),
        (lambda: running_mean(states_of(2), [0, 0]), "not all be zero"),
        (lambda: running_mean([], []), "not all be zero"),
    ],
)
def test_a_mean_that_cannot_be_is_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"share": 0}, "share must be > 0 and <= 1"),
        ({"rounds_a_day": math.inf}, "rounds_a_day must be > 0"),
        ({"model_bytes": 1.5}, "model_bytes must be a whole number"),
        ({"message_seconds": -1}, "message_seconds must be >= 0"),
    ],
)
def test_a_load_that_cannot_be_is_a_sentence(changed, words):
    good = {"share": 0.1, "rounds_a_day": 1, "model_bytes": 1, "message_seconds": 0}
    with pytest.raises(InputError, match=words):
        load(10, **(good | changed))
    with pytest.raises(InputError, match="num_clients must be a whole number >= 1"):
        measure_messages(0, share=0.1, state={"w": torch.zeros(1)}, num_rounds=1, seed=0)
    with pytest.raises(InputError, match="fan_out"):
        tree_of(10, 1)

"""Who is flagged and who is left out, and what a client is worth."""

import itertools
import math

import numpy as np
import pytest
import torch
from noise import federation, noise_images, weights_of

from fedlearn_helpers.algorithms.aggregation import uniform_mean, weighted_mean
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.models import new_mlp
from fedlearn_helpers.robustness.attacks.noise import noise_attack_mod
from fedlearn_helpers.robustness.contribution import leave_one_out, shapley, utility_of_round
from fedlearn_helpers.robustness.detection import (
    Exclusion,
    ValidationLoss,
    Verdict,
    distances_to_median,
    flag,
    judge_flags,
)
from fedlearn_helpers.training import evaluate


def states_of(vectors):
    return [{"w": torch.as_tensor(vector)} for vector in np.asarray(vectors, float)]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture(scope="module")
def images():
    return noise_images(80, 20)


# Flags


def test_the_modified_z_score_against_numbers_by_hand():
    scores = [1.0, 2, 3, 4, 100]  # median 3, MAD 1: the limit is 3 + 3.5 / 0.6745 = 8.19
    assert flag(scores) == (4,)
    assert flag([1, 2, 3, 4, 8.18]) == () and flag([1, 2, 3, 4, 8.2]) == (4,)
    assert flag(scores, threshold=0.6) == (3, 4)
    assert flag([-100, 2, 3, 4, 5]) == (), "low scores are no reason"


def test_scores_without_spread_and_scores_that_are_no_numbers():
    assert flag([1, 1, 1, 1]) == () == flag([5])
    assert flag([1, 1, 1, 1.1]) == (3,)
    assert flag([1, 1, 1, 1 + 1e-12]) == (), "rounding"
    assert flag([1, 2, math.nan, 3, math.inf]) == (2, 4)
    assert flag([math.nan, math.inf]) == (0, 1)


def test_far_models_are_flagged_up_to_just_below_half():
    for colluders in (0, 1, 4):
        vectors = normal(10, 50)
        vectors[:colluders] += 100
        assert flag(distances_to_median(states_of(vectors))) == tuple(range(colluders))
    vectors[:6] += 100
    assert flag(distances_to_median(states_of(vectors))) != tuple(range(6)), "control: the majority lies"


def test_true_and_false_positives():
    assert judge_flags([7, 1, 3], {3, 5, 7}) == Verdict(caught=(3, 7), accused=(1,), missed=(5,))
    assert judge_flags((), ()) == Verdict((), (), ())


def test_who_is_flagged_does_not_count():
    vectors = normal(10, 50)
    vectors[[2, 5]] += 100
    honest = np.delete(np.arange(10), [2, 5])
    for weights in ([1.0] * 10, list(range(1, 11))):
        combined = Exclusion(distances_to_median)(states_of(vectors), weights)["w"]
        np.testing.assert_allclose(combined, vectors[honest].mean(axis=0), atol=1e-12)
    lenient = Exclusion(distances_to_median, threshold=1e9)(states_of(vectors))["w"]
    np.testing.assert_allclose(lenient, vectors.mean(axis=0), atol=1e-12)


def test_losses_on_the_servers_examples(images):
    inputs, targets = images.test_images, images.test_labels
    model = new_mlp(images.image_shape, images.num_classes, 0)
    others = [new_mlp(images.image_shape, images.num_classes, seed) for seed in (1, 2)]
    broken = {name: torch.full_like(tensor, torch.nan) for name, tensor in model.state_dict().items()}
    first = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    losses = ValidationLoss(model, inputs, targets)([*(other.state_dict() for other in others), broken])
    assert losses == [*(evaluate(other, inputs, targets).loss for other in others), math.inf]
    assert all(torch.equal(tensor, first[name]) for name, tensor in model.state_dict().items())


def test_exclusion_in_a_federation(images):
    """The model is that of the two honest clients, which count the same."""
    model = new_mlp(images.image_shape, images.num_classes, 0)
    by_loss = ValidationLoss(model, images.test_images, images.test_labels)
    mods = [noise_attack_mod([1], 10.0, 0)]
    honest = []

    def look(states, weights):
        honest.extend([states[0], states[2]])
        return weighted_mean(states, weights)

    noisy = weights_of(federation(images, 1, mods=mods, aggregator=look))
    expected = uniform_mean(honest)
    for scores in (distances_to_median, by_loss):
        kept = weights_of(federation(images, 1, mods=mods, aggregator=Exclusion(scores)))
        assert all(torch.equal(kept[name], expected[name]) for name in kept)
        assert not torch.equal(kept["1.weight"], noisy["1.weight"]), "control"


@pytest.mark.parametrize("threshold", [0, -1, math.nan, math.inf, None, "3"])
def test_a_threshold_out_of_range(threshold):
    for make in (lambda: flag([1, 2], threshold), lambda: Exclusion(distances_to_median, threshold)):
        with pytest.raises(InputError, match="^threshold must be > 0, got"):
            make()


def test_nobody_left_and_no_scores():
    with pytest.raises(InputError, match="^threshold must leave at least one model, and all 2 are flagged$"):
        Exclusion(lambda states: [math.nan] * len(states))(states_of(normal(2, 3)))
    with pytest.raises(InputError, match="^scores must have at least one number, got none$"):
        flag([])


# Contributions


def random_game(n, seed):
    """Return a utility with a random value for each coalition."""
    values = {}
    rng = np.random.default_rng(seed)
    for size in range(n + 1):
        for members in itertools.combinations(range(n), size):
            values[frozenset(members)] = rng.normal()
    return values.__getitem__


@pytest.mark.parametrize("n", [1, 2, 5])
def test_shapley_is_the_mean_over_all_orders_and_efficient(n):
    for seed in range(3):
        utility, total = random_game(n, seed), np.zeros(n)
        orders = list(itertools.permutations(range(n)))
        for order in orders:
            for place, player in enumerate(order):
                total[player] += utility(frozenset(order[: place + 1])) - utility(frozenset(order[:place]))
        values = shapley(utility, range(n))
        np.testing.assert_allclose([values[player] for player in range(n)], total / len(orders), atol=1e-13)
        assert sum(values.values()) == pytest.approx(utility(frozenset(range(n))) - utility(frozenset()))


def test_null_players_symmetry_and_linearity():
    first, second = random_game(3, 0), random_game(4, 1)

    def without_3(coalition):
        return first(coalition - {3})

    assert shapley(without_3, range(4))[3] == 0
    by_size = shapley(lambda coalition: len(coalition & {0, 1}) ** 2 + 5 * (2 in coalition), range(3))
    assert by_size == pytest.approx({0: 2, 1: 2, 2: 5})
    both = shapley(lambda coalition: 2 * without_3(coalition) - second(coalition), range(4))
    one, other = shapley(without_3, range(4)), shapley(second, range(4))
    assert both == pytest.approx({player: 2 * one[player] - other[player] for player in range(4)})


def test_two_clients_with_the_same_data_are_worth_nothing_one_at_a_time():
    def utility(coalition):
        return float(bool(coalition & {3, 7})) + 2 * (5 in coalition)

    assert leave_one_out(utility, [3, 5, 7]) == {3: 0, 5: 2, 7: 0}
    assert shapley(utility, [3, 5, 7]) == pytest.approx({3: 0.5, 5: 2, 7: 0.5})


def test_each_coalition_is_asked_for_once():
    asked = []
    shapley(lambda coalition: asked.append(coalition) or 0.0, range(6))
    assert len(asked) == len(set(asked)) == 64
    asked.clear()
    leave_one_out(lambda coalition: asked.append(coalition) or 0.0, range(6))
    assert len(asked) == 7


def test_the_utility_of_a_round_is_that_of_fedavgs_model():
    received, states, weights = {"w": torch.tensor([5.0])}, states_of([[1.0], [2], [6]]), [1, 3, 2]
    utility = utility_of_round(lambda state: float(state["w"]), received, states, weights)
    assert [utility(frozenset(c)) for c in ([], [1], [0, 1], [2, 1, 0])] == pytest.approx([5, 2, 7 / 4, 19 / 6])


def test_what_has_no_value():
    for players in ([], [1, 1], range(16)):
        with pytest.raises(InputError, match="^players must be 1 to 15 clients, each once, got"):
            shapley(len, players)
    with pytest.raises(InputError, match="^players must be at least one client, each once, got"):
        leave_one_out(len, [])
    for worth in (shapley, leave_one_out):
        with pytest.raises(InputError, match=r"^utility must be finite, got nan for the coalition \[0, 1\]$"):
            worth(lambda coalition: math.nan if coalition == {0, 1} else 0.0, [0, 1])

"""Defences against exact properties: brute force, optimality, the share of attackers at which each breaks."""

import functools
import itertools

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, RecordDict
from flwr.serverapp.strategy.multikrum import select_multikrum
from noise import SIZES, federation, noise_images, weights_of

from fedlearn_helpers.algorithms.aggregation import uniform_mean, weighted_mean
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.models import NORMALIZED_MODELS
from fedlearn_helpers.robustness.attacks.scaling import scale_mod
from fedlearn_helpers.robustness.bulyan import Bulyan
from fedlearn_helpers.robustness.detection import Exclusion, distances_to_median
from fedlearn_helpers.robustness.geometric_median import geometric_median
from fedlearn_helpers.robustness.krum import Krum, krum_scores, squared_distances
from fedlearn_helpers.robustness.median import coordinate_median
from fedlearn_helpers.robustness.multi_krum import MultiKrum
from fedlearn_helpers.robustness.norm_clipping import CLIPPED_FEDAVG, clip_around
from fedlearn_helpers.robustness.trimmed_mean import TrimmedMean

ASSUMING = {
    "TrimmedMean": (TrimmedMean, 2, 1),
    "Krum": (Krum, 2, 3),
    "MultiKrum": (MultiKrum, 2, 3),
    "Bulyan": (Bulyan, 4, 3),
}
ALL = {
    "median": coordinate_median,
    "geometric median": geometric_median,
    "trimmed mean": TrimmedMean(2),
    "Krum": Krum(2),
    "MultiKrum": MultiKrum(2),
    "Bulyan": Bulyan(2),
    "exclusion": Exclusion(distances_to_median),
}
FAR = 1e6


def states_of(vectors):
    """Return models of two tensors, of vectors (n, d)."""
    vectors = torch.as_tensor(np.asarray(vectors))
    return [{"a": vector[:1].reshape(1, 1), "b": vector[1:]} for vector in vectors]


def vector_of(state):
    return torch.cat([tensor.flatten() for tensor in state.values()]).double().numpy()


def result(aggregator, vectors, weights=None):
    return vector_of(aggregator(states_of(vectors), weights or [1.0] * len(vectors)))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def attacked(n, colluders, d=20, seed=0):
    """Return honest vectors around 0, and colluders that all send the same far away."""
    vectors = normal(n, d, seed=seed)
    vectors[n - colluders :] = FAR
    return vectors


# Against brute force


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("draw", ["normal", "ties"])
def test_median_and_trimmed_mean_against_brute_force(n, draw):
    vectors = normal(n, 30, seed=n)
    if draw == "ties":
        vectors = vectors.round()
    np.testing.assert_allclose(result(coordinate_median, vectors), np.median(vectors, axis=0), atol=1e-15)
    for f in range((n - 1) // 2 + 1):
        expected = [np.mean(sorted(column)[f : n - f]) for column in vectors.T]
        np.testing.assert_allclose(result(TrimmedMean(f), vectors), expected, atol=1e-15)


def test_trimming_nothing_is_the_mean_and_trimming_all_but_the_middle_the_median():
    vectors = normal(9, 30)
    np.testing.assert_allclose(result(TrimmedMean(0), vectors), result(uniform_mean, vectors), atol=1e-15)
    np.testing.assert_allclose(result(TrimmedMean(4), vectors), result(coordinate_median, vectors), atol=1e-15)
    assert np.abs(result(TrimmedMean(1), vectors) - result(uniform_mean, vectors)).max() > 1e-3, "control"


def test_distances_and_scores_of_krum_against_brute_force():
    vectors = normal(8, 30)
    squares = squared_distances(torch.as_tensor(vectors))
    expected = [[np.sum((v - w) ** 2) for w in vectors] for v in vectors]
    np.testing.assert_allclose(squares, expected, rtol=1e-13)
    scores = [sum(sorted(np.delete(row, k))[:4]) for k, row in enumerate(expected)]
    np.testing.assert_allclose(krum_scores(squares, 4), scores, rtol=1e-13)
    np.testing.assert_array_equal(result(Krum(2), vectors), vectors[np.argmin(scores)])
    best = np.argsort(scores)[:6]
    np.testing.assert_allclose(result(MultiKrum(2), vectors), vectors[best].mean(axis=0), atol=1e-15)


def test_bulyan_against_brute_force():
    f, vectors = 1, normal(8, 30)
    squares = [[np.sum((v - w) ** 2) for w in vectors] for v in vectors]
    scores = [sum(sorted(np.delete(row, k))[:5]) for k, row in enumerate(squares)]
    chosen = vectors[np.argsort(scores)[: 8 - 2 * f]]
    nearest = np.argsort(np.abs(chosen - np.median(chosen, axis=0)), axis=0)[: 8 - 4 * f]
    expected = np.take_along_axis(chosen, nearest, axis=0).mean(axis=0)
    np.testing.assert_allclose(result(Bulyan(f), vectors), expected, atol=1e-14)


def test_the_geometric_median_is_where_the_pulls_cancel():
    """The sum of the unit vectors to all models is the gradient of the sum of distances."""

    def pull(center, vectors):
        steps = vectors - center
        return np.linalg.norm((steps / np.linalg.norm(steps, axis=1, keepdims=True)).sum(axis=0))

    for seed in range(5):
        vectors = normal(9, 30, seed=seed) * np.arange(1, 10)[:, None]
        assert pull(result(geometric_median, vectors), vectors) < 1e-5
        assert pull(result(coordinate_median, vectors), vectors) > 0.1, "control"
        assert pull(vectors.mean(axis=0), vectors) > 0.1, "control"


def test_the_geometric_median_on_a_line_and_on_a_model():
    np.testing.assert_allclose(result(geometric_median, [[0, 0], [1, 0], [5, 0]]), [1, 0], atol=1e-4)
    np.testing.assert_array_equal(result(geometric_median, [[1.0, 2], [1, 2], [1, 2], [9, 9]]), [1, 2])
    corners = np.array([[0.0, 0], [4, 0], [0, 4], [1, 1]])  # the fourth is within the triangle of the others
    np.testing.assert_allclose(result(geometric_median, corners), [1, 1], atol=1e-4)


# Attackers


def test_krum_never_takes_one_of_three_far_colluders_of_nine():
    assert all(result(Krum(3), attacked(9, 3, seed=seed)).max() < FAR for seed in range(200))


def test_why_krum_needs_more_than_2f_plus_2():
    """With n = 2f + 1 the colluders are each other's nearest n - f - 2 neighbours."""
    squares = squared_distances(torch.as_tensor(attacked(7, 3)))
    assert int(krum_scores(squares, 7 - 3 - 2).argmin()) >= 4
    with pytest.raises(InputError, match="n > 2f"):
        Krum(3)(states_of(attacked(7, 3)), [1.0] * 7)


BREAKDOWN = [  # n clients, so many colluders that it holds, and so many that it breaks
    ("median", coordinate_median, 9, 4, 5),
    ("median, even n", coordinate_median, 10, 4, 5),
    ("geometric median", geometric_median, 9, 4, 5),
    ("trimmed mean", TrimmedMean(2), 9, 2, 3),
    ("Krum", Krum(3), 9, 4, 5),  # a colluder with n - f - 2 = 4 others has the score 0
    ("MultiKrum", MultiKrum(3), 9, 3, 4),
    ("Bulyan", Bulyan(1), 7, 3, 4),
    ("mean", uniform_mean, 9, 0, 1),
]


@pytest.mark.parametrize(
    ("aggregator", "n", "holds", "breaks"), [case[1:] for case in BREAKDOWN], ids=[c[0] for c in BREAKDOWN]
)
def test_where_a_defence_breaks(aggregator, n, holds, breaks):
    for seed in range(10):
        assert np.abs(result(aggregator, attacked(n, holds, seed=seed))).max() < 10
        assert np.abs(result(aggregator, attacked(n, breaks, seed=seed))).max() > FAR / 100


@pytest.mark.parametrize("name", ASSUMING)
@pytest.mark.parametrize("f", [0, 1, 2, 4])
def test_a_defence_refuses_fewer_clients_than_it_needs(name, f):
    defence, factor, more = ASSUMING[name]
    least = factor * f + more
    result(defence(f), normal(least, 5))
    if least > 1:
        with pytest.raises(InputError, match=rf"^{name} needs n .*: at least {least} .* f = {f}, got n = {least - 1}$"):
            result(defence(f), normal(least - 1, 5))


def test_flowers_krum_loses_small_differences_and_this_one_does_not():
    """Weights of 1000 with differences of 0.001: in float32 ||a||^2 + ||b||^2 - 2 a b is rounding alone."""
    wrong = {"flower": 0, "here": 0}
    for seed in range(50):
        rng = np.random.default_rng(seed)
        vectors = rng.normal(size=1000) * 1000 + rng.normal(size=(9, 1000)) * 1e-3
        vectors[-3:] += rng.normal(size=(3, 1000)) * 0.02
        states = states_of(vectors.astype(np.float32))
        replies = [RecordDict({"arrays": ArrayRecord(dict(state))}) for state in states]
        (chosen,) = select_multikrum(replies, 3, 1)
        wrong["flower"] += any(chosen is reply for reply in replies[-3:])
        wrong["here"] += Krum(3).choose(states) >= 6
    assert wrong["here"] == 0
    assert wrong["flower"] > 5


# What holds for all


@pytest.mark.parametrize("name", ALL)
def test_the_order_of_the_clients_changes_nothing(name):
    vectors = normal(11, 30) * np.arange(1, 12)[:, None]
    expected = result(ALL[name], vectors)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(11)
        np.testing.assert_allclose(result(ALL[name], vectors[order]), expected, rtol=1e-6, atol=1e-9)


def test_of_equal_scores_krum_takes_the_client_with_the_lower_number():
    vectors = np.array([[5.0, 0], [1, 0], [2, 0]])  # clients 1 and 2 are each other's nearest
    assert [Krum(0).choose(states_of(vectors[list(order)])) for order in itertools.permutations(range(3))] == [
        1, 1, 0, 0, 0, 0,
    ]  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_all_move_and_stretch_with_the_models_and_ignore_weights(name):
    vectors = normal(11, 30)
    plain = result(ALL[name], vectors)
    np.testing.assert_allclose(result(ALL[name], 2 * vectors + 3), 2 * plain + 3, atol=1e-5)
    np.testing.assert_array_equal(result(ALL[name], vectors, list(range(1, 12))), plain)
    np.testing.assert_allclose(result(ALL[name], np.tile(vectors[:1], (11, 1))), vectors[0], rtol=1e-15)


@pytest.mark.parametrize("name", ALL)
def test_dtypes_shapes_and_whole_numbers(name):
    models = [
        {"w": torch.full((2, 3), float(k)), "count": torch.tensor(100 + k), "half": torch.ones(2, dtype=torch.float16)}
        for k in range(11)
    ]
    models[10]["count"] = torch.tensor(2**40)  # a liar
    combined = ALL[name](models, [1.0] * 11)
    assert list(combined) == ["w", "count", "half"]
    assert (combined["w"].shape, combined["w"].dtype, combined["half"].dtype) == ((2, 3), torch.float32, torch.float16)
    if name != "exclusion":  # it takes the mean of those that are left
        assert float(combined["count"]) == 105


@pytest.mark.parametrize("name", ALL)
def test_what_cannot_be_combined_is_one_sentence(name):
    states = states_of(normal(11, 5))
    states[4]["b"] = torch.full((4,), torch.nan, dtype=torch.float64)
    with pytest.raises(InputError, match="^states must have finite numbers"):
        ALL[name](states, [1.0] * 11)
    states[4]["b"] = torch.zeros(3, dtype=torch.float64)
    with pytest.raises(InputError, match="^states must all have the names and shapes of the first, and number 4 has"):
        ALL[name](states, [1.0] * 11)
    with pytest.raises(InputError, match="^states must hold at least one model, got none$"):
        ALL[name]([], [])


@pytest.mark.parametrize("defence", [TrimmedMean, Krum, MultiKrum, Bulyan])
@pytest.mark.parametrize("f", [-1, 1.5, True, None, "2"])
def test_a_number_of_attackers_that_is_none(defence, f):
    with pytest.raises(InputError, match="^num_attackers must be a whole number >= 0, got"):
        defence(f)


# Norm clipping


def test_clipping_shortens_long_updates_to_the_median_norm_and_leaves_the_others():
    received = states_of([[10.0, 10, 10]])[0]
    updates = np.array([[1.0, 0, 0], [0, 2, 0], [0, 0, 300]])
    clipped = clip_around(received, states_of(10 + updates))
    np.testing.assert_allclose([vector_of(state) - 10 for state in clipped], [[1, 0, 0], [0, 2, 0], [0, 0, 2]])


@pytest.fixture(scope="module")
def images():
    return noise_images(80, 20)


def distance_of(first, second):
    return float(sum(((first[name] - second[name]) ** 2).sum() for name in first)) ** 0.5


def test_clipped_fedavg_in_a_federation(images):
    """Of three clients one shouts; the others' updates are about as long as before."""
    run = functools.partial(federation, images, 1)
    quiet, loud = (run(algorithm=CLIPPED_FEDAVG, mods=[scale_mod([0], factor)]) for factor in (1000, 1e6))
    assert distance_of(weights_of(quiet), weights_of(loud)) < 1e-3
    mean = [run(mods=[scale_mod([0], factor)]) for factor in (1000, 1e6)]
    assert distance_of(weights_of(mean[0]), weights_of(mean[1])) > 1, "control"


def test_clipped_fedavg_takes_an_aggregator_too(images):
    """The median of clipped models is not the median of models, nor the mean of clipped ones."""
    models = [
        weights_of(federation(images, 1, algorithm=algorithm, aggregator=aggregator))
        for algorithm, aggregator in (
            (CLIPPED_FEDAVG, coordinate_median),
            (CLIPPED_FEDAVG, None),
            ("fedavg", coordinate_median),
        )
    ]
    assert all(distance_of(first, second) > 1e-4 for first, second in itertools.combinations(models, 2))


# In a federation


def test_a_federation_that_is_too_small_ends_with_the_sentence(images):
    with pytest.raises(InputError, match=r"^Krum needs n > 2f \+ 2: at least 5 .* f = 1, got n = 3$"):
        federation(images, 1, aggregator=Krum(1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "algorithm", ["fedavg", "scaffold", "fednova", "feddyn", "fedavgm", "fedadam", "ditto", "apfl"]
)
def test_every_defence_goes_with_every_algorithm_that_takes_an_aggregator(images, algorithm):
    for aggregator in (coordinate_median, geometric_median, TrimmedMean(1), Krum(0)):
        federated = weights_of(federation(images, 2, algorithm=algorithm, aggregator=aggregator))
        assert all(torch.isfinite(tensor).all() and tensor.dtype == torch.float32 for tensor in federated.values())


def test_batchnorms_counter_stays_whole(images):
    model = NORMALIZED_MODELS["mlp"](images.image_shape, images.num_classes, 0)
    for aggregator in (coordinate_median, geometric_median, TrimmedMean(1), Krum(0), MultiKrum(0), Bulyan(0)):
        counter = weights_of(federation(images, 1, model=model, aggregator=aggregator))["2.num_batches_tracked"]
        assert (counter.dtype, int(counter)) == (torch.int64, sorted(-(-size // 4) for size in SIZES)[1])


def test_one_client_is_enough_where_nobody_is_assumed_to_attack():
    vectors = normal(1, 5)
    for aggregator in (coordinate_median, geometric_median, TrimmedMean(0), weighted_mean):
        np.testing.assert_allclose(result(aggregator, vectors), vectors[0], rtol=1e-15)

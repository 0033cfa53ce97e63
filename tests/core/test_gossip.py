"""Averaging without a server: the mean stays, and the second eigenvalue is the rate."""

from itertools import pairwise

import numpy as np
import pytest

from fedlearn_helpers.communication.gossip import (
    complete,
    disagreement,
    gossip,
    metropolis,
    mix,
    ring,
    rounds_to_consensus,
    second_eigenvalue,
    spectral_gap,
)
from fedlearn_helpers.errors import InputError

STAR = np.zeros((5, 5), dtype=bool)
STAR[0, 1:] = STAR[1:, 0] = True
MODELS = np.random.default_rng(0).normal(size=(5, 3))


def slowest_direction(mixing):
    values, vectors = np.linalg.eigh(mixing - 1 / len(mixing))
    return vectors[:, np.abs(values).argmax()]


@pytest.mark.parametrize("graph", [ring(5), complete(5), STAR], ids=["ring", "complete", "star"])
def test_metropolis_weights_are_doubly_stochastic_and_only_between_neighbours(graph):
    weights = metropolis(graph)
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    np.testing.assert_array_equal(weights, weights.T)
    np.testing.assert_array_equal(weights - np.diag(weights.diagonal()) > 0, graph)


def test_known_gaps():
    assert spectral_gap(metropolis(complete(7))) == pytest.approx(1), "one round is the average"
    for n in (3, 6, 12):
        assert second_eigenvalue(metropolis(ring(n))) == pytest.approx(abs(1 + 2 * np.cos(2 * np.pi / n)) / 3)
    assert spectral_gap(np.eye(4)) == pytest.approx(0), "nobody listens"
    assert spectral_gap(np.roll(np.eye(4), 1, axis=0)) == pytest.approx(0), "models go round, and nobody averages"


@pytest.mark.parametrize("graph", [ring(5), STAR], ids=["ring", "star"])
def test_disagreement_shrinks_by_the_second_eigenvalue(graph):
    mixing = metropolis(graph)
    rate = second_eigenvalue(mixing)
    models = np.outer(slowest_direction(mixing), [1.0, -2.0]) + [3.0, 4.0]
    for _ in range(20):
        mixed = mix(mixing, models)
        assert disagreement(mixed) == pytest.approx(rate * disagreement(models), rel=1e-9)
        models = mixed
    models = MODELS
    for _ in range(20):  # other models are no slower
        assert disagreement(mix(mixing, models)) <= rate * disagreement(models) * (1 + 1e-12)
        models = mix(mixing, models)


def test_the_mean_stays_exactly():
    lazy_ring = np.eye(4) / 2 + ring(4) / 4  # numbers that floats hold exactly
    models = np.array([[1.0, 5], [2, 0], [-4, 8], [64, 3]])
    for _ in range(10):
        mixed = mix(lazy_ring, models)
        assert mixed.mean(axis=0).tolist() == models.mean(axis=0).tolist()
        models = mixed
    np.testing.assert_allclose(mix(metropolis(ring(5)), MODELS).mean(axis=0), MODELS.mean(axis=0), rtol=1e-14)


def test_a_matrix_that_is_not_doubly_stochastic_arrives_elsewhere():
    """Rows add up to 1, columns do not: clients agree, and not on the mean. The control of the test above."""
    only_rows = STAR + np.eye(5)
    only_rows /= only_rows.sum(axis=1, keepdims=True)
    agreed = np.linalg.matrix_power(only_rows, 200) @ MODELS
    assert disagreement(agreed) < 1e-12
    assert np.abs(agreed[0] - MODELS.mean(axis=0)).max() > 0.1
    with pytest.raises(InputError, match="^mixing must be doubly stochastic: .* got 2.2 in column 0$"):
        mix(only_rows, MODELS)


@pytest.mark.slow
def test_rounds_to_consensus():
    assert rounds_to_consensus(metropolis(complete(5)), MODELS, 0.01) == 1
    mixing = metropolis(ring(5))
    slowest = np.outer(slowest_direction(mixing), [1.0])
    expected = int(np.ceil(np.log(0.01) / np.log(second_eigenvalue(mixing))))
    assert rounds_to_consensus(mixing, slowest, 0.01) == expected
    counts = [rounds_to_consensus(metropolis(ring(n)), np.eye(n), 0.01) for n in (4, 8, 16)]
    assert all(a < b for a, b in pairwise(counts)), "a longer ring takes longer"
    assert rounds_to_consensus(mixing, np.ones((5, 2)), 0.01) == 0
    with pytest.raises(InputError, match="^mixing must bring the models together: after 100000 rounds"):
        rounds_to_consensus(np.eye(5), MODELS, 0.01)


def test_gossip_trains_then_averages():
    mixing = metropolis(ring(5))
    path = gossip(mixing, MODELS, lambda client, model: model + client, 3)
    assert path.shape == (4, 5, 3)
    np.testing.assert_array_equal(path[1], mixing @ (MODELS + np.arange(5)[:, None]))
    np.testing.assert_allclose(path[3].mean(axis=0), MODELS.mean(axis=0) + 3 * 2)
    by_server = gossip(metropolis(complete(5)), np.zeros((5, 2)), lambda client, model: model + client, 1)
    np.testing.assert_allclose(by_server[1], 2.0, err_msg="all are neighbours: FedAvg with equal weights")


@pytest.mark.parametrize(
    ("mixing", "message"),
    [
        (np.ones((2, 3)) / 3, "mixing must be a square matrix, got the shape (2, 3)"),
        (np.ones(4), "mixing must be a square matrix, got the shape (4,)"),
        (np.array([[2.0, -1], [-1, 2]]), "mixing must have entries >= 0, got -1"),
        (np.full((2, 2), np.nan), "mixing must have entries >= 0, got nan"),
        (
            np.ones((2, 2)),
            "mixing must be doubly stochastic: every row and column adds up to 1, got 2 in row 0",
        ),
    ],
)
def test_bad_mixing(mixing, message):
    trained = []
    with pytest.raises(InputError) as caught:
        gossip(mixing, np.zeros((2, 2)), lambda client, model: trained.append(client) or model, 1)
    assert str(caught.value) == message and not trained


def test_other_bad_input():
    for call, message in (
        (lambda: ring(2), "num_clients must be a whole number >= 3, got 2"),
        (lambda: metropolis(np.ones((2, 3))), "graph must be square, got the shape (2, 3)"),
        (
            lambda: metropolis(np.triu(ring(4))),
            "graph must be symmetric, of True and False, with False in the diagonal",
        ),
        (lambda: mix(np.eye(3), np.ones(3)), "models must have the shape (3, numbers), got (3,)"),
        (lambda: mix(np.eye(3), np.ones((2, 2))), "models must have the shape (3, numbers), got (2, 2)"),
        (lambda: rounds_to_consensus(np.eye(3), np.ones((3, 1)), 1), "share must be > 0 and < 1, got 1"),
        (
            lambda: gossip(np.eye(3), np.ones((3, 1)), lambda _, m: m, -1),
            "num_rounds must be a whole number >= 0, got -1",
        ),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert str(caught.value) == message

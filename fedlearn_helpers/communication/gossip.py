"""Averaging without a server: every client averages with its neighbours, again and again.

In a round client i takes sum_j W_ij x_j, with W > 0 only between neighbours. If W is doubly stochastic (its rows and
columns add up to 1), the mean of all clients stays what it is, and what is left of the disagreement shrinks by the
second largest absolute eigenvalue of W in every round.

Sources: Xiao and Boyd 2004, "Fast linear iterations for distributed averaging"; with training in between, Lian et al.
2017, https://arxiv.org/abs/1705.09056.
"""

from collections.abc import Callable

import numpy as np

from fedlearn_helpers.errors import InputError, check_number, check_whole_number

_MOST_ROUNDS = 100_000
Train = Callable[[int, np.ndarray], np.ndarray]
"""Maps a client's number and its model (d,) to its model after local training (d,)."""


def ring(num_clients: int) -> np.ndarray:
    """Return the graph (n, n) in which every client has two neighbours; n >= 3."""
    check_whole_number("num_clients", num_clients, 3)
    right = np.roll(np.eye(num_clients, dtype=bool), 1, axis=1)
    return right | right.T


def complete(num_clients: int) -> np.ndarray:
    """Return the graph (n, n) in which all are neighbours; n >= 2."""
    check_whole_number("num_clients", num_clients, 2)
    return ~np.eye(num_clients, dtype=bool)


def metropolis(graph: np.ndarray) -> np.ndarray:
    """Return mixing weights (n, n) for a graph: W_ij = 1 / (1 + the larger number of neighbours of i and j).

    What is missing to 1 in a row is W_ii. Each pair needs to know its own numbers of neighbours only.

    Args:
        graph: (n, n) True where two clients are neighbours; symmetric, with False in the diagonal.

    Raises:
        InputError: another array.
    """
    graph = np.asarray(graph)
    if graph.ndim != 2 or graph.shape[0] != graph.shape[1]:
        raise InputError(f"graph must be square, got the shape {graph.shape}")
    if not np.isin(graph, (0, 1)).all() or (graph != graph.T).any() or graph.diagonal().any():
        raise InputError("graph must be symmetric, of True and False, with False in the diagonal")
    neighbours = graph.sum(axis=1)
    weights = graph / (1.0 + np.maximum.outer(neighbours, neighbours))
    return weights + np.diag(1 - weights.sum(axis=1))


def check_mixing(mixing: np.ndarray) -> np.ndarray:
    """Return a mixing matrix (n, n) as an array; raise an InputError unless it is square and doubly stochastic."""
    mixing = np.asarray(mixing, dtype=float)
    if mixing.ndim != 2 or mixing.shape[0] != mixing.shape[1] or not mixing.size:
        raise InputError(f"mixing must be a square matrix, got the shape {mixing.shape}")
    if not (mixing >= 0).all():  # so is what is not a number
        raise InputError(f"mixing must have entries >= 0, got {mixing.min():g}")
    for axis, lines in ((1, "row"), (0, "column")):
        sums = mixing.sum(axis=axis)
        worst = int(np.abs(sums - 1).argmax())
        if abs(sums[worst] - 1) > 1e-9:
            raise InputError(
                f"mixing must be doubly stochastic: every row and column adds up to 1, got {sums[worst]:g} in {lines} "
                f"{worst}"
            )
    return mixing


def second_eigenvalue(mixing: np.ndarray) -> float:
    """Return the second largest absolute eigenvalue of a mixing matrix (n, n), in [0, 1]."""
    mixing = check_mixing(mixing)
    values = np.linalg.eigvals(mixing - 1 / len(mixing))  # without the first, which is 1
    return min(float(np.abs(values).max()), 1.0)


def spectral_gap(mixing: np.ndarray) -> float:
    """Return 1 - the second largest absolute eigenvalue, in [0, 1]; 0: the clients never agree."""
    return 1 - second_eigenvalue(mixing)


def mix(mixing: np.ndarray, models: np.ndarray) -> np.ndarray:
    """Return the models (n, d) of all clients after one round of averaging with neighbours.

    Raises:
        InputError: a matrix that is not doubly stochastic, or not one model per client.
    """
    mixing, models = check_mixing(mixing), np.asarray(models)
    if models.ndim != 2 or len(models) != len(mixing):
        raise InputError(f"models must have the shape ({len(mixing)}, numbers), got {models.shape}")
    return mixing @ models


def disagreement(models: np.ndarray) -> float:
    """Return how far the models (n, d) are from their mean: the root of the sum of squares."""
    return float(np.linalg.norm(models - models.mean(axis=0)))


def rounds_to_consensus(mixing: np.ndarray, models: np.ndarray, share: float) -> int:
    """Return after how many rounds of averaging at most this share, in (0, 1), of the disagreement is left.

    Raises:
        InputError: as `mix`; a share out of range; or a matrix that does not bring the models together.
    """
    check_number("share", share, "> 0 and < 1", lambda part: 0 < part < 1)
    mixing = check_mixing(mixing)
    goal, rounds = share * disagreement(np.asarray(models)), 0
    while disagreement(models) > goal:
        if rounds == _MOST_ROUNDS:
            raise InputError(
                f"mixing must bring the models together: after {rounds} rounds they are still apart, with a spectral "
                f"gap of {spectral_gap(mixing):g}"
            )
        models, rounds = mix(mixing, models), rounds + 1
    return rounds


def gossip(mixing: np.ndarray, models: np.ndarray, train: Train, num_rounds: int) -> np.ndarray:
    """Let clients train and average with their neighbours; return all models of all rounds (num_rounds + 1, n, d).

    Args:
        mixing: (n, n) doubly stochastic.
        models: (n, d) with which each client begins.
        train: what a client does in a round before it averages.
        num_rounds: >= 0.

    Raises:
        InputError: as `mix`, or a number of rounds below 0.
    """
    check_whole_number("num_rounds", num_rounds, 0)
    path = [np.asarray(models, dtype=float)]
    mix(mixing, path[0])  # refuses what does not fit before anybody trains
    for _ in range(num_rounds):
        trained = np.array([train(client, model) for client, model in enumerate(path[-1])])
        path.append(mix(mixing, trained))
    return np.array(path)

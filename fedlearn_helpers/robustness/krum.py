"""Krum: take the one model that has the nearest neighbours.

    score(k) = sum of ||w_k - w_i||^2 over the n - f - 2 models i nearest to k        n > 2f + 2
    w_{t+1} = w_k with the lowest score; of equal scores the client with the lower number

Among n - f - 2 neighbours of an attacker are honest ones, since f - 1 is less: so it must be near them to win. What
Krum costs without attackers is all that the other clients have learned: one client's model has more noise than the
mean, and with non-IID clients it is the model of one client's classes. It ignores the numbers of examples.

Distances are computed from differences in float64. The quicker ||a||^2 + ||b||^2 - 2 a b in float32, Flower's way,
loses small differences of large weights to rounding; and Flower does not check n > 2f + 2.

Source: Blanchard et al. 2017, https://arxiv.org/abs/1703.02757, section 4.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import State
from fedlearn_helpers.robustness.assumed import AssumesAttackers, check_enough
from fedlearn_helpers.robustness.vectors import as_state, as_vectors


def squared_distances(vectors: Tensor) -> Tensor:
    """Return ||v_i - v_j||^2 (n, n) of vectors (n, d), from their differences."""
    n = len(vectors)
    squares = vectors.new_zeros((n, n))
    rows, columns = torch.triu_indices(n, n, offset=1)
    squares[rows, columns] = torch.pdist(vectors).square()
    return squares + squares.T


def krum_scores(squares: Tensor, neighbours: int) -> Tensor:
    """Return each client's score (n,): the sum of its smallest squared distances to others.

    Args:
        squares: (n, n) of `squared_distances`.
        neighbours: how many of them, from 0 to n - 1.
    """
    nearest, _ = squares.sort(dim=1)
    return nearest[:, 1 : neighbours + 1].sum(dim=1)  # the first is the distance to itself, 0


def check_krum(defence: str, n: int, f: int) -> None:
    """Raise an InputError unless n > 2f + 2."""
    check_enough(defence, n, f, 2 * f + 3, "n > 2f + 2")


def lowest_scores(vectors: Tensor, f: int, count: int) -> list[int]:
    """Return the positions of so many vectors (n, d) with the lowest scores, in ascending order, for n > 2f + 2."""
    scores = krum_scores(squared_distances(vectors), len(vectors) - f - 2).tolist()
    return sorted(sorted(range(len(vectors)), key=scores.__getitem__)[:count])


class Krum(AssumesAttackers):
    """An aggregator for `federate(…, aggregator=Krum(f))`."""

    def choose(self, states: Sequence[State]) -> int:
        """Return the position of the model with the lowest score; arguments and errors as in a call."""
        vectors = as_vectors(states)
        check_krum("Krum", len(states), self.num_attackers)
        return lowest_scores(vectors, self.num_attackers, 1)[0]

    def __call__(self, states: Sequence[State], weights: Sequence[float] = ()) -> dict[str, Tensor]:
        """Return one client's model; see `Aggregator`. Weights are ignored.

        Raises:
            InputError: fewer than 2f + 3 states, different names or shapes, or numbers that are not finite.
        """
        chosen = self.choose(states)
        return as_state(as_vectors(states[chosen : chosen + 1])[0], states)

"""Detection: whose model is unlike the others, or does badly on examples that the server has.

    distance:  d_k = ||w_k - coordinate-wise median||
    loss:      d_k = mean loss of w_k on examples of the server's own
    flagged:   0.6745 (d_k - median d) / MAD > threshold,     MAD = median_k |d_k - median d|

0.6745 makes MAD a standard deviation where the scores are Gaussian, and f < n / 2 attackers cannot move the median and
MAD as they can move a mean. With non-IID clients an honest client may look as odd as a liar: count the false positives.

Source: Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers", modified z-score with the threshold 3.5.
"""

import copy
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from fedlearn_helpers.algorithms.aggregation import State, uniform_mean
from fedlearn_helpers.errors import InputError, check_number
from fedlearn_helpers.robustness.vectors import as_vectors, middle
from fedlearn_helpers.tasks import IMAGES, Task
from fedlearn_helpers.training import evaluate

Scores = Callable[[Sequence[State]], list[float]]
"""Called with one state per client; returns a number per client, the higher the odder."""

_GAUSSIAN = 0.6745  # MAD of a Gaussian with standard deviation 1
_ROUNDING = 1e-9  # as a share of the median: scores that differ by less are equal


def distances_to_median(states: Sequence[State]) -> list[float]:
    """Return the Euclidean distance of each model to the coordinate-wise median of all.

    Raises:
        InputError: no states, different names or shapes, or numbers that are not finite.
    """
    vectors = as_vectors(states)
    distances: list[float] = torch.linalg.vector_norm(vectors - middle(vectors), dim=1).tolist()
    return distances


@dataclass(frozen=True)
class ValidationLoss:
    """Scores: the mean loss of each client's model on examples that the server has itself.

    Attributes:
        model: of the clients' kind; it stays as it is.
        inputs: (m, ...) examples as they are stored, on the CPU.
        targets: (m, ...) theirs.
        task: how they are used.
    """

    model: nn.Module
    inputs: Tensor
    targets: Tensor
    task: Task = IMAGES

    def __call__(self, states: Sequence[State]) -> list[float]:
        """Return one loss per state; infinite where it is not a number.

        Raises:
            InputError: no examples.
        """
        model, losses = copy.deepcopy(self.model), []
        for state in states:
            model.load_state_dict(dict(state))
            losses.append(evaluate(model, self.inputs, self.targets, task=self.task).loss)
        return [math.inf if math.isnan(loss) else loss for loss in losses]


def flag(scores: Sequence[float], threshold: float = 3.5) -> tuple[int, ...]:
    """Return the positions of scores that are too high; where MAD is 0, of all above the median.

    A score that is not finite is always flagged.

    Args:
        scores: one per client.
        threshold: in standard deviations, > 0.

    Raises:
        InputError: no scores, or a threshold out of range.
    """
    check_number("threshold", threshold, "> 0", lambda number: number > 0)
    if not len(scores):
        raise InputError("scores must have at least one number, got none")
    finite = [score for score in scores if math.isfinite(score)]
    if not finite:
        return tuple(range(len(scores)))
    center = median(finite)
    mad = median(abs(score - center) for score in finite)
    limit = center + max(threshold * mad / _GAUSSIAN, _ROUNDING * abs(center))
    return tuple(client for client, score in enumerate(scores) if not score <= limit)


@dataclass(frozen=True)
class Exclusion:
    """An aggregator: the uniform mean of the models that are not flagged, `federate(…, aggregator=Exclusion(…))`.

    Weights are ignored: an attacker that passes would otherwise choose its own.

    Attributes:
        scores: such as `distances_to_median`, or a `ValidationLoss`.
        threshold: of `flag`, > 0.

    Raises:
        InputError: a threshold out of range.
    """

    scores: Scores
    threshold: float = 3.5

    def __post_init__(self) -> None:
        check_number("threshold", self.threshold, "> 0", lambda number: number > 0)

    def __call__(self, states: Sequence[State], weights: Sequence[float] = ()) -> dict[str, Tensor]:
        """Return the mean of those that are left; see `Aggregator`.

        Raises:
            InputError: no states, or all are flagged.
        """
        flagged = flag(self.scores(states), self.threshold)
        left = [state for client, state in enumerate(states) if client not in flagged]
        if not left:
            raise InputError(f"threshold must leave at least one model, and all {len(states)} are flagged")
        return uniform_mean(left)


@dataclass(frozen=True)
class Verdict:
    """How right a detection is; clients by number, in ascending order.

    Attributes:
        caught: attackers that are flagged (true positives).
        accused: honest clients that are flagged (false positives).
        missed: attackers that are not flagged (false negatives).
    """

    caught: tuple[int, ...]
    accused: tuple[int, ...]
    missed: tuple[int, ...]


def judge_flags(flagged: Collection[int], attackers: Collection[int]) -> Verdict:
    """Compare who is flagged with who attacked."""
    said, true = set(flagged), set(attackers)
    return Verdict(tuple(sorted(said & true)), tuple(sorted(said - true)), tuple(sorted(true - said)))

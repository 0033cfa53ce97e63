"""Averages of what clients report."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real

import numpy as np

from fedlearn_helpers.errors import InputError

Average = Callable[[Sequence[Mapping[str, float]], Sequence[float]], dict[str, float]]


def check_weights(weights: Sequence[float]) -> list[float]:
    """Return weights as Python's numbers; raise an InputError if they cannot be normalized. None at all pass."""
    numbers = np.asarray(weights).tolist()
    are_numbers = np.ndim(weights) == 1 and all(isinstance(weight, Real) for weight in numbers)
    if not are_numbers or not (
        all(0 <= weight < math.inf for weight in numbers) and 0 < sum(numbers or [1]) < math.inf
    ):
        raise InputError(f"weights must be finite, >= 0 and not all zero, got {numbers}")
    return numbers


def _with_checks(average: Average) -> Average:
    """Check what is to be averaged, and make Python's numbers of the weights: sums of small integers overflow."""

    @functools.wraps(average)
    def checked(reports: Sequence[Mapping[str, float]], weights: Sequence[float]) -> dict[str, float]:
        if len(reports) == 0:
            raise ValueError("reports must hold at least one report, got none")
        numbers = check_weights(weights)
        if len(weights) != len(reports):
            raise ValueError(f"weights must have one entry per report ({len(reports)}), got {len(weights)}")
        if any(set(report) != set(reports[0]) for report in reports):
            raise ValueError(f"reports must all have the same metrics, got {[sorted(report) for report in reports]}")
        return average(reports, numbers)

    return checked


@_with_checks
def weighted_average(reports: Sequence[Mapping[str, float]], weights: Sequence[float]) -> dict[str, float]:
    """Average every metric over the reports, each report counting by its weight.

    FedAvg weighs a client by its number of examples, so that every *example* counts the same,
    not every client (McMahan et al. 2017, https://arxiv.org/abs/1602.05629).

    Args:
        reports: one mapping of metric names to values per client; all with the same names.
        weights: one finite number >= 0 per report, not all zero.

    Raises:
        ValueError: no reports, as many weights as reports missing, different metric names,
            or weights that cannot be normalized.
    """
    total = sum(weights)
    return {
        name: sum(weight * report[name] for report, weight in zip(reports, weights, strict=True)) / total
        for name in reports[0]
    }

"""What a notebook claims, in a form that can be run again: with other seeds, more rounds, other rates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Claim:
    """A sentence of a notebook that a run could contradict.

    Attributes:
        cell: the id of the cell in which a reader meets it.
        says: the claim, one sentence.
        margins: computes from the metrics of one run (results.json) by how much the claim holds, one number a seed
            of that run: above 0 where it holds. For "A is above B" that is A - B, seed by seed.
        unit: of the margins; "points" are percentage points, for which `margins` returns shares.
        fails: the known settings in which it does not hold, in words; empty if none is known. A variant in which it
            does not hold is called there by its name: `fedlearn claims` complains about all others.
        only: names of the variants to which it applies, for a claim that makes no sense in others; empty means all.
            In the notebook's own setting it always applies.
    """

    cell: str
    says: str
    margins: Callable[[Metrics], Sequence[float]]
    unit: str = "points"
    fails: str = ""
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """Another setting in which the claims are tried.

    Attributes:
        name: such as "twice the rounds".
        parameters: of the notebook, where they differ from the defaults.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def difference(higher: str, lower: str) -> Callable[[Metrics], list[float]]:
    """Return the margins of "metric `higher` is above metric `lower`": numbers, or lists with one number a seed."""

    def margins(metrics: Metrics) -> list[float]:
        pairs = zip(_each(metrics[higher]), _each(metrics[lower]), strict=True)
        return [high - low for high, low in pairs]

    return margins


def _each(value: float | Sequence[float]) -> Sequence[float]:
    return value if isinstance(value, Sequence) else [value]

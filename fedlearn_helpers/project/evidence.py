"""What a project's records say: paired differences, seed by seed, and what they make of the claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean, stdev

from fedlearn_helpers.metrics import is_clear
from fedlearn_helpers.project.plan import Plan
from fedlearn_helpers.project.records import Outcome, Record

SEEDS = 3  # the fewest that a conclusion rests on
_ROUNDING = 1e-9  # 0.52 - 0.50 is more than 0.02 by 2e-17


def runs_of(records: Iterable[Record], setting: str, algorithm: str) -> dict[int, Record]:
    """Return the records of one algorithm in one setting, by seed."""
    chosen = [record for record in records if (record.setting, record.algorithm) == (setting, algorithm)]
    return {record.seed: record for record in sorted(chosen, key=lambda record: record.seed)}


def differences(plan: Plan, records: Iterable[Record], setting: str) -> dict[int, float]:
    """Return the candidate's mean less the baseline's, for each seed that both have."""
    records = tuple(records)
    candidate = runs_of(records, setting, plan.candidate)
    baseline = runs_of(records, setting, plan.baseline)
    return {seed: record.mean - baseline[seed].mean for seed, record in candidate.items() if seed in baseline}


def outcome_of(plan: Plan, found: Mapping[int, float]) -> Outcome:
    """Return what differences make of the claim.

    It is decided if they are clearly on one side of the threshold, by the workbook's rule: `metrics.is_clear`. That
    they are as large as predicted is not asked for.
    """
    beyond = [difference - plan.threshold for difference in found.values()]
    beyond = [0.0 if abs(value) <= _ROUNDING else value for value in beyond]
    if not is_clear(beyond):
        return "undecided"
    return "confirmed" if (beyond[0] > 0) == (plan.predicted_difference > plan.threshold) else "refuted"


def in_words(found: Mapping[int, float]) -> str:
    """Return mean and standard deviation of differences over seeds."""
    values = list(found.values())
    spread = f" ± {stdev(values):.3g}" if len(values) > 1 else ""
    return f"{fmean(values):+.4g}{spread} over {len(values)} seed{'s' * (len(values) > 1)}"


def worst_client(plan: Plan, runs: Mapping[int, Record]) -> tuple[str, float]:
    """Return the client that is worst off on average over seeds, and its number; all runs have the same clients."""
    clients = next(iter(runs.values())).per_client
    means = {client: fmean(record.per_client[client] for record in runs.values()) for client in clients}
    worst = (min if plan.higher_is_better else max)(means, key=lambda client: means[client])
    return worst, means[worst]

"""What can be checked in a project without reading its text: each check says done, missing or wrong, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from fedlearn_helpers.experiments.compare import CENTRALIZED, LOCAL_ONLY
from fedlearn_helpers.project.evidence import SEEDS, differences, in_words, outcome_of, runs_of, worst_client
from fedlearn_helpers.project.plan import Plan
from fedlearn_helpers.project.reading import CONCLUSION, PLAN, RESULTS, Found
from fedlearn_helpers.project.records import Record

State = Literal["done", "missing", "wrong"]
Told = tuple[State, str]
REFERENCE_LINES = (LOCAL_ONLY, CENTRALIZED)
_SHOWN = 5  # seeds in a sentence


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: one of `CHECKS`.
        state: "done", "missing" or "wrong".
        sentence: why.
    """

    name: str
    state: State
    sentence: str


def check_project(found: Found) -> tuple[Check, ...]:
    """Return all checks of what is in a project's folder, in the order of `CHECKS`."""
    checks = []
    for name, check in CHECKS.items():
        if found.plan is None and name not in ("plan first", "numbers"):
            checks.append(Check(name, "missing", f"without a {PLAN} that can be read it cannot be told"))
        else:
            checks.append(Check(name, *check(found, found.plan)))
    return tuple(checks)


def _plan_first(found: Found, plan: Plan | None) -> Told:
    if faults := found.faults_of(PLAN):
        return "wrong", _first_of(faults)
    if plan is None:
        return "missing", f"there is no {PLAN}"
    number = f"it predicts {plan.predicted_difference:+g}"
    if not found.records:
        return "done", f"the plan is of {found.written}, and no run is recorded yet; {number}"
    return "done", f"the plan is of {found.written}, the first run of {found.records[0].recorded}; {number}"


def _numbers(found: Found, plan: Plan | None) -> Told:
    if faults := found.faults_of(RESULTS):
        return "wrong", _first_of(faults)
    if not found.records:
        return "missing", "no run is recorded"
    count = f"{len(found.records)} record{'s' * (len(found.records) > 1)}"
    sound = "finite, with hashes that fit, each mean that of its clients"
    return "done", f"{count}, {sound}; code of the last: {found.last_code}"


def _local_only(found: Found, plan: Plan) -> Told:
    return _reference_line(found, plan, LOCAL_ONLY)


def _centralized(found: Found, plan: Plan) -> Told:
    return _reference_line(found, plan, CENTRALIZED)


def _reference_line(found: Found, plan: Plan, line: str) -> Told:
    if runs := runs_of(found.records, plan.settings[0], line):
        mean = sum(run.mean for run in runs.values()) / len(runs)
        return "done", f"{line} has a mean of {mean:.4g} over {len(runs)} seed{'s' * (len(runs) > 1)}"
    return "missing", f"no run of {line!r} is recorded in {plan.settings[0]!r}"


def _seeds(found: Found, plan: Plan) -> Told:
    names = (*plan.algorithms, *(line for line in REFERENCE_LINES if line not in plan.algorithms))
    counts = {name: len(runs_of(found.records, plan.settings[0], name)) for name in names}
    counted = {name: count for name, count in counts.items() if count or name in plan.algorithms}
    if not any(counted.values()):
        return "missing", f"no run is recorded in {plan.settings[0]!r}"
    if few := [f"{name} has {count}" for name, count in counted.items() if count < SEEDS]:
        return "wrong", f"{SEEDS} seeds of each are needed, and {', '.join(few)}"
    return "done", f"each has at least {min(counted.values())} seeds"


def _differences(found: Found, plan: Plan) -> Told:
    paired = differences(plan, found.records, plan.settings[0])
    pair = f"{plan.candidate} less {plan.baseline}"
    if not paired:
        return "missing", f"there is no seed with both {plan.candidate} and {plan.baseline}"
    alone = _seeds_of_one(found, plan, plan.settings[0])
    if len(paired) < SEEDS:
        return "wrong", f"{pair} is {in_words(paired)}: a spread needs {SEEDS}{alone}"
    runs = [runs_of(found.records, plan.settings[0], name) for name in (plan.candidate, plan.baseline)]
    if all(_all_equal([run.per_client for run in of_one.values()]) for of_one in runs):
        return "wrong", f"{pair} is the same with every seed, client by client: let the seed decide who has what"
    return "done", f"{pair} is {in_words(paired)}; predicted was {plan.predicted_difference:+g}{alone}"


def _seeds_of_one(found: Found, plan: Plan, setting: str) -> str:
    """Name the seeds that only one of the two has: who leaves seeds out afterwards can choose the outcome."""
    paired, parts = differences(plan, found.records, setting), []
    for name in (plan.baseline, plan.candidate):
        if alone := [seed for seed in runs_of(found.records, setting, name) if seed not in paired]:
            more = f" and {len(alone) - _SHOWN} more" if len(alone) > _SHOWN else ""
            parts.append(f"seed{'s' * (len(alone) > 1)} {', '.join(map(str, alone[:_SHOWN]))}{more} with {name} only")
    return f"; {', '.join(parts)}: ask why" if parts else ""


def _all_equal(values: list) -> bool:
    return all(value == values[0] for value in values)


def _clients(found: Found, plan: Plan) -> Told:
    if not found.records:
        return "missing", "no run is recorded"
    if alone := next((record for record in found.records if len(record.per_client) < 2), None):
        return "wrong", f"{alone.name} has a number for one client only: record each client's"
    worst = []
    for name in (plan.baseline, plan.candidate):
        if not (runs := runs_of(found.records, plan.settings[0], name)):
            return "missing", f"no run of {name!r} is recorded in {plan.settings[0]!r}"
        client, value = worst_client(plan, runs)
        worst.append(f"{client!r} with {value:.4g} under {name}")
    return "done", f"worst off is {' and '.join(worst)}"


def _budget(found: Found, plan: Plan) -> Told:
    compared = [record for record in found.records if record.algorithm not in REFERENCE_LINES]
    if not compared:
        return "missing", "no run of a federation is recorded"
    for record in compared:
        if wrong := _beside_the_budget(record, plan):
            return "wrong", f"{record.name} {wrong}"
    for name in plan.algorithms:
        if name not in REFERENCE_LINES and not runs_of(found.records, plan.settings[0], name):
            return "missing", f"no run of {name!r} is recorded in {plan.settings[0]!r}"
    used = f"all {len(compared)} federations used the planned {plan.budget} {plan.budget_unit}"
    return "done", f"{used}; what reference lines did is not counted"


def _beside_the_budget(record: Record, plan: Plan) -> str:
    if plan.budget_unit == "rounds":
        return "" if record.rounds == plan.budget else f"has {record.rounds} rounds, and planned were {plan.budget}"
    if record.bytes > plan.budget:
        return f"sent {record.bytes} bytes, more than the {plan.budget} that were planned"
    if record.rounds == 0 or record.bytes + record.bytes / record.rounds <= plan.budget:
        return f"sent {record.bytes} bytes, and another round would have fitted into the {plan.budget} of the plan"
    return ""


def _second_setting(found: Found, plan: Plan) -> Told:
    if len(plan.settings) < 2:
        return "missing", "the plan has one setting only: none tries to break the claim"
    best = max(plan.settings[1:], key=lambda setting: len(differences(plan, found.records, setting)))
    paired = differences(plan, found.records, best)
    if not paired:
        return "missing", f"there is no seed with both {plan.candidate} and {plan.baseline} in {best!r}"
    if _numbers_in(found, plan, best) <= _numbers_in(found, plan, plan.settings[0]):
        return "wrong", f"{best!r} has the numbers of {plan.settings[0]!r}, client by client"
    told = f"in {best!r} {plan.candidate} less {plan.baseline} is {in_words(paired)}"
    alone = _seeds_of_one(found, plan, best)
    if len(paired) < SEEDS:
        return "wrong", f"{told}: {SEEDS} seeds are needed{alone}"
    return "done", f"{told}: there the claim is {outcome_of(plan, paired)}{alone}"


def _numbers_in(found: Found, plan: Plan, setting: str) -> set[tuple]:
    """Return what clients have reached under each of the two, whatever their names and the seeds are."""
    return {
        (name, *sorted(run.per_client.values()))
        for name in (plan.baseline, plan.candidate)
        for run in runs_of(found.records, setting, name).values()
    }


def _conclusion(found: Found, plan: Plan) -> Told:
    if faults := found.faults_of(CONCLUSION):
        return "wrong", _first_of(faults)
    if found.conclusion is None:
        return "missing", f"there is no {CONCLUSION}"
    if found.conclusion.code != found.last_code:
        counts = f"{found.conclusion.records}, and now there are {len(found.records)}"
        return "wrong", f"it rests on other records: at its time {counts}; conclude anew, and say why they changed"
    said, paired = found.conclusion.outcome, differences(plan, found.records, plan.settings[0])
    if len(paired) < SEEDS:
        return "wrong", f"it says {said}, on {len(paired)} paired seeds: {SEEDS} are needed to say anything"
    if said != (outcome := outcome_of(plan, paired)):
        return "wrong", f"it says {said}, and by {in_words(paired)} the claim is {outcome}: {plan.claim}"
    return "done", f"it says {said}, and so do the numbers: {in_words(paired)}"


def _limits(found: Found, plan: Plan) -> Told:
    if found.conclusion is None:
        return "missing", "neither a limitation nor what became of the threat is written down"
    parts = {"a limitation": found.conclusion.limitation, "what became of the threat": found.conclusion.threat}
    if absent := [what for what, text in parts.items() if not text]:
        return "missing", f"{' and '.join(absent)} must be written down"
    return "done", "a limitation and what became of the threat are written down"


def _first_of(faults: list[str]) -> str:
    return faults[0] + (f" (and {len(faults) - 1} more)" if len(faults) > 1 else "")


CHECKS: dict[str, Callable[[Found, Any], Told]] = {  # two of them can do without a plan
    "plan first": _plan_first,
    LOCAL_ONLY: _local_only,
    CENTRALIZED: _centralized,
    "seeds": _seeds,
    "differences": _differences,
    "clients": _clients,
    "budget": _budget,
    "numbers": _numbers,
    "second setting": _second_setting,
    "conclusion": _conclusion,
    "limits": _limits,
}

"""A project's folder: the plan is written once, each run is recorded, and checks say what is still missing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedlearn_helpers.errors import InputError, check_number, check_one_of, check_whole_number
from fedlearn_helpers.experiments.compare import ComparisonTables
from fedlearn_helpers.files import json_text, write_json, write_whole
from fedlearn_helpers.project.checks import REFERENCE_LINES, check_project
from fedlearn_helpers.project.lock import one_at_a_time
from fedlearn_helpers.project.plan import Plan, check_name
from fedlearn_helpers.project.reading import (
    CONCLUSION,
    LARGEST_FILE,
    PLAN,
    RESULTS,
    Found,
    check_beside,
    plan_digest,
    read_project,
)
from fedlearn_helpers.project.records import Conclusion, Outcome, Record, now, run_name

if TYPE_CHECKING:
    import pandas as pd

_LOCK = ".project.lock"


class Project:
    """A project in a folder.

    Attributes:
        folder: where `plan.json`, `results.json` and `conclusion.json` are.
        plan: what was planned.
        code: 32 digits of the plan's hash. Given to the instructor before the first run, they show that the plan came
            first.
    """

    def __init__(self, folder: Path | str, plan: Plan | None = None) -> None:
        """Write the plan if the folder has none, or open what is there.

        Args:
            folder: made if missing.
            plan: the same again once it is written, or None: then the folder's.

        Raises:
            InputError: another plan than the one written, or one that was changed in the file; no plan at all.
        """
        self.folder = Path(os.path.expanduser(folder))
        found = read_project(self.folder)
        _refuse_faults(found.faults_of(PLAN))
        if found.plan is None:
            if plan is None:
                raise InputError(f"plan must be a Plan, got None, and there is no {PLAN} in {str(self.folder)!r}")
            found = self._write_plan(plan)
        assert found.plan is not None
        if plan is not None and plan != found.plan:
            _refuse_change(found, plan)
        self.plan, self.code = found.plan, found.code

    def record(
        self,
        setting: str,
        algorithm: str,
        seed: int,
        per_client: Mapping[Any, float] | Sequence[float],
        *,
        rounds: int,
        num_bytes: int,
        seconds: float | None = None,
    ) -> None:
        """Add a run to the results. The same run again, with the same numbers, changes nothing.

        Args:
            setting: one of the plan's.
            algorithm: one of the plan's, "local only" or "centralized".
            seed: which decided who has what, the first model and the order of examples.
            per_client: the metric of each client, by its name or in the clients' order. Their mean is recorded, too.
            rounds: 0 for a reference line.
            num_bytes: sent in training, both ways together.
            seconds: how long the run took.

        Raises:
            InputError: a name that is not in the plan, a number that is not finite, other clients than in the runs
                before, the same run with other numbers, or more runs than a file may hold.
        """
        self._add([self._new_record(setting, algorithm, seed, per_client, rounds, num_bytes, seconds)])

    def record_tables(self, tables: ComparisonTables, rounds: int) -> None:
        """Add all runs of a comparison, each client with its own accuracy; unseen clients are left out.

        A run in which a client has no accuracy, since it diverged, is not recorded: a printed line names it.

        Args:
            tables: of `experiments.compare`, whose scenarios are the plan's settings.
            rounds: of every federation. Tables know it of algorithms with one model for all.

        Raises:
            InputError: as in `record`, another number of rounds than in the tables, or a plan whose metric is not
                accuracy.
        """
        if "accuracy" not in self.plan.metric.casefold() or not self.plan.higher_is_better:
            better = "higher" if self.plan.higher_is_better else "lower"
            raise InputError(
                f"tables must have the plan's metric, and they have accuracy, where higher is better; planned is "
                f"{self.plan.metric!r}, where {better} is: use `record`"
            )
        check_whole_number("rounds", rounds, 1)
        names = ["scenario", "algorithm", "seed"]
        for run, of_run in tables.rounds.groupby(names, sort=False):
            if (last := of_run["round"].max()) != rounds:
                raise InputError(f"rounds must be {last}, as in the tables for {run_name(*run)}, got {rounds}")
        records = []
        members = tables.clients[~tables.clients["unseen"]]
        for (setting, algorithm, seed), rows in members.groupby(names, sort=False):
            run = run_name(setting, algorithm, seed)
            if missing := int(rows["accuracy"].isna().sum()):
                print(f"Not recorded: {run} has no accuracy of {missing} of {len(rows)} clients.")
                continue
            megabytes = float(rows["megabytes"].iloc[0])
            check_number(f"megabytes of {run}", megabytes, "a finite number >= 0", lambda value: value >= 0)
            per_client = dict(zip(rows["client"], rows["accuracy"], strict=True))
            of_all = 0 if algorithm in REFERENCE_LINES else rounds
            records.append(self._new_record(setting, algorithm, seed, per_client, of_all, round(megabytes * 1e6), None))
        self._add(records)

    def conclude(self, outcome: Outcome, because: str, *, limitation: str = "", threat: str = "") -> None:
        """Write the conclusion, with the number of records and the code of the last; it may be written anew.

        It belongs to the records that are there: whoever adds some, concludes anew.

        Args:
            outcome: "confirmed", "refuted" or "undecided".
            because: what in the results says so.
            limitation: what they do not show.
            threat: what became of the plan's threat: what was tried, and what is left open.

        Raises:
            InputError: an unknown outcome, or something that is no sentence.
        """
        found = read_project(self.folder)
        conclusion = Conclusion(outcome, because, limitation, threat, len(found.records), found.last_code)
        write_json(self.folder / CONCLUSION, asdict(conclusion))

    def check(self) -> pd.DataFrame:
        """Return the checks of what is in the folder: columns `check`, `state` and `sentence`."""
        import pandas as pd

        rows = [(check.name, check.state, check.sentence) for check in check_project(read_project(self.folder))]
        return pd.DataFrame(rows, columns=["check", "state", "sentence"])

    def _new_record(
        self,
        setting: str,
        algorithm: str,
        seed: int,
        per_client: Mapping[Any, float] | Sequence[float],
        rounds: int,
        num_bytes: int,
        seconds: float | None,
    ) -> Record:
        setting, algorithm = check_name("setting", setting), check_name("algorithm", algorithm)
        check_one_of("setting", setting, self.plan.settings)
        check_one_of("algorithm", algorithm, dict.fromkeys((*self.plan.algorithms, *REFERENCE_LINES)))
        if not isinstance(per_client, Mapping):
            try:
                per_client = dict(enumerate(per_client))
            except TypeError:
                raise InputError(f"per_client must have a number for each client, got {per_client!r:.80}") from None
        by_name = {check_name("a client of per_client", str(client)): value for client, value in per_client.items()}
        if len(by_name) < len(per_client):
            raise InputError(f"per_client must have names that differ as text, got {list(per_client)!r:.80}")
        return Record(setting, algorithm, seed, by_name, rounds, num_bytes, seconds, now())

    def _write_plan(self, plan: Plan) -> Found:
        with one_at_a_time(self.folder / _LOCK):
            found = read_project(self.folder)
            if found.plan is not None:  # another program came first
                return found
            if os.path.lexists(self.folder / RESULTS):
                raise InputError(f"folder must have no results before its plan, got {str(self.folder)!r}")
            written = now()
            content = {"plan": plan.as_json(), "written": written, "sha256": plan_digest(plan, written)}
            write_json(self.folder / PLAN, content)
            return read_project(self.folder)

    def _add(self, records: Sequence[Record]) -> None:
        with one_at_a_time(self.folder / _LOCK):
            found = read_project(self.folder)
            _refuse_faults([fault.sentence for fault in found.faults if fault.part != CONCLUSION])
            there = list(found.records)
            for record in records:
                if not any(record.same_numbers(other) for other in there):
                    check_beside(record, there)
                    there.append(record)
            if len(there) > len(found.records):
                write_whole(self.folder / RESULTS, _text_of(there, found.sha256))


def _text_of(records: Sequence[Record], plan_sha256: str) -> str:
    rows, last = [], plan_sha256
    for record in records:
        last = record.digest(last)
        rows.append({**asdict(record), "mean": record.mean, "sha256": last})
    text = json_text({"plan_sha256": plan_sha256, "records": rows})
    if len(text) > LARGEST_FILE:  # it could not be read again
        raise InputError(f"{RESULTS} must have at most {LARGEST_FILE} bytes, and would have {len(text)}")
    return text


def _refuse_faults(faults: Sequence[str]) -> None:
    if faults:
        raise InputError(f"the project's files must be as they were written: {faults[0]}")


def _refuse_change(found: Found, plan: Plan) -> None:
    old, new = found.plan.as_json() if found.plan else {}, plan.as_json()
    name = next(name for name in old if old[name] != new[name])
    raise InputError(
        f"plan must be the one written on {found.written}, got another {name}: {new[name]!r:.60} in place of "
        f"{old[name]!r:.60}; what was predicted stays, and another plan needs another folder"
    )

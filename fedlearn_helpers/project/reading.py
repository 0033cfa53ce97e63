"""Reads a project's folder, whoever has written it: nothing in it is executed, and what is wrong with it is named.

Three files count: `plan.json`, `results.json` and `conclusion.json`. Each record holds a hash of itself and of what was
written before it, and the first one of the plan. So a number or a prediction that was changed later is found, and a
record that was removed from between others. Records that were removed from the end, or all of them, are found only
by a conclusion that was written before, and not anew. Nor is it a signature: who writes all hashes anew is not found
out, but for an instructor who was given codes before, of the plan and of the records up to some time.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.files import without_repetition
from fedlearn_helpers.project.plan import Plan, plan_from_json
from fedlearn_helpers.project.records import Conclusion, Record, digest_of, when

PLAN, RESULTS, CONCLUSION = "plan.json", "results.json", "conclusion.json"
LARGEST_FILE = 5_000_000  # bytes: as many records as there may be, of fifty clients each
MOST_RECORDS = 2000
_CODE = 32  # digits: with twelve, two plans of the same code can be searched for
_LONGEST = 300  # letters of a sentence
_CLOCKS = timedelta(days=1)  # by which two may differ


@dataclass(frozen=True)
class Fault:
    """Something wrong with a file.

    Attributes:
        part: the file's name.
        sentence: what is wrong, in one line of at most 300 letters, whatever the file has in it.
    """

    part: str
    sentence: str

    def __post_init__(self) -> None:
        line = " ".join(self.sentence.split())
        object.__setattr__(self, "sentence", line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…")


@dataclass(frozen=True)
class Found:
    """What is in a project's folder.

    Attributes:
        plan: None if there is none that can be read.
        written: when the plan was written; "" without a plan.
        sha256: the hash of the plan as it is now; "" without a plan.
        records: those that are sound, in their order.
        last: the hash with which the next record begins.
        conclusion: None if there is none that can be read.
        faults: what is wrong; records with a fault are not among `records`.
    """

    plan: Plan | None
    written: str
    sha256: str
    records: tuple[Record, ...]
    last: str
    conclusion: Conclusion | None
    faults: tuple[Fault, ...]

    @property
    def code(self) -> str:
        """The plan's code: the first 32 digits of its hash."""
        return self.sha256[:_CODE]

    @property
    def last_code(self) -> str:
        """The code of all records so far: the first 32 digits of the last one's hash."""
        return self.last[:_CODE]

    def faults_of(self, part: str) -> list[str]:
        """Return what is wrong with one of the files."""
        return [fault.sentence for fault in self.faults if fault.part == part]


def read_project(folder: Path | str) -> Found:
    """Read a project's folder; what cannot be read is among the faults.

    Links are not followed, and files of more than five megabytes are not read.
    """
    folder, faults = Path(folder), list[Fault]()
    plan, written, sha256 = _read_plan(folder, faults)
    records, last = _read_results(folder, written, sha256, faults)
    return Found(plan, written, sha256, records, last, _read_conclusion(folder, faults), tuple(faults))


def _read_plan(folder: Path, faults: list[Fault]) -> tuple[Plan | None, str, str]:
    try:
        content = read_json(folder / PLAN, ("plan", "written", "sha256"))
        if content is None:
            return None, "", ""
        plan, written = plan_from_json(content["plan"]), content["written"]
        if _is_to_come(written):
            faults.append(Fault(PLAN, f"{PLAN} is of {written}, which is still to come"))
        sha256 = plan_digest(plan, written)
        if content["sha256"] != sha256:
            faults.append(Fault(PLAN, f"{PLAN} was changed after it was written"))
    except InputError as error:
        faults.append(Fault(PLAN, f"{PLAN} cannot be used: {error}"))
        return None, "", ""
    return plan, written, sha256


def _is_to_come(time: str) -> bool:
    return when(time) > datetime.now(UTC) + _CLOCKS


def plan_digest(plan: Plan, written: str) -> str:
    """Return the hash of a plan and the time at which it was written."""
    return digest_of([plan.as_json(), written])


def _read_results(folder: Path, written: str, sha256: str, faults: list[Fault]) -> tuple[tuple[Record, ...], str]:
    try:
        content = read_json(folder / RESULTS, ("plan_sha256", "records"))
        if content is None:
            return (), sha256
        if not isinstance(content["records"], list):
            raise InputError(f"records must be a list, got {content['records']!r:.80}")
        if len(content["records"]) > MOST_RECORDS:
            raise InputError(f"it must have at most {MOST_RECORDS} records, got {len(content['records'])}")
    except InputError as error:
        faults.append(Fault(RESULTS, f"{RESULTS} cannot be used: {error}"))
        return (), sha256
    if sha256 and content["plan_sha256"] != sha256:
        faults.append(Fault(PLAN, f"{RESULTS} was recorded under another plan than {PLAN} has now"))
    records, last = list[Record](), str(content["plan_sha256"])
    for number, row in enumerate(content["records"], start=1):
        try:
            record = _record_of(row, last)
            check_beside(record, records)
            records.append(record)
            if written and when(record.recorded) < when(written):
                text = f"record {number} ({record.name}) is of {record.recorded}, older than the plan of {written}"
                faults.append(Fault(PLAN, text))
        except InputError as error:
            faults.append(Fault(RESULTS, f"record {number}: {error}"))
            if sha256 and number == 1:  # the only one that has the plan's hash in its own
                text = f"record 1 does not follow from {PLAN}: the plan was changed after it, or that record was"
                faults.append(Fault(PLAN, text))
        last = str(row.get("sha256")) if isinstance(row, dict) else ""
    return tuple(records), last


def _record_of(row: object, before: str) -> Record:
    names = [field.name for field in fields(Record)]
    if not isinstance(row, dict) or set(row) != {*names, "mean", "sha256"}:
        raise InputError(f"a record must have exactly {', '.join(names)}, mean and sha256")
    record = Record(**{name: row[name] for name in names})
    mean = row["mean"]
    if not (isinstance(mean, float) and math.isclose(mean, record.mean, rel_tol=1e-9, abs_tol=1e-12)):
        raise InputError(f"{record.name} has the mean {mean!r:.40}, and that of its clients is {record.mean:.6g}")
    if row["sha256"] != record.digest(before):
        raise InputError(f"{record.name} was changed after it was recorded, or the record before it was")
    if _is_to_come(record.recorded):
        raise InputError(f"{record.name} is of {record.recorded}, which is still to come")
    return record


def check_beside(record: Record, others: Sequence[Record]) -> None:
    """Check that a record may stand beside others: the run is not there yet, and has the clients of its setting.

    Raises:
        InputError: it may not, or there are as many as there may be.
    """
    if len(others) >= MOST_RECORDS:
        raise InputError(f"a project must have at most {MOST_RECORDS} records")
    run = (record.setting, record.algorithm, record.seed)
    if any((other.setting, other.algorithm, other.seed) == run for other in others):
        raise InputError(f"{record.name} is there already, with other numbers")
    first = next((other for other in others if other.setting == record.setting), record)
    if first.per_client.keys() != record.per_client.keys():
        counts = f"{len(record.per_client)} and {len(first.per_client)}"
        raise InputError(f"{record.name} must have the same clients as {first.name}, got {counts} with other names")


def _read_conclusion(folder: Path, faults: list[Fault]) -> Conclusion | None:
    try:
        content = read_json(folder / CONCLUSION, tuple(field.name for field in fields(Conclusion)))
        return None if content is None else Conclusion(**content)
    except InputError as error:
        faults.append(Fault(CONCLUSION, f"{CONCLUSION} cannot be used: {error}"))
        return None


def read_json(path: Path, keys: tuple[str, ...]) -> dict[str, Any] | None:
    """Return a JSON file's object, which has exactly these keys; None if there is no such file.

    Raises:
        InputError: it is no plain file, too large, no JSON, or has other keys.
    """
    try:
        content = json.loads(_text_of(path), object_pairs_hook=without_repetition)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"it must be a plain file that can be read ({error.strerror})") from None
    except RecursionError:
        raise InputError("it must be JSON of a few levels, got one of very many") from None
    except InputError:
        raise
    except ValueError as error:  # no UTF-8, no JSON, or a number of thousands of digits
        raise InputError(f"it must be JSON ({str(error):.100})") from None
    if not isinstance(content, dict) or set(content) != set(keys):
        raise InputError(f"it must have exactly {', '.join(keys)}")
    return content


def _text_of(path: Path) -> str:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe would be waited for
    if path.is_symlink():  # where the system has no O_NOFOLLOW
        raise InputError("it must be a plain file, got a link")
    with open(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise InputError("it must be a plain file")
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise InputError(f"it must have at most {LARGEST_FILE} bytes")
    return content.decode("utf-8-sig")  # an editor may have put a mark of its own first

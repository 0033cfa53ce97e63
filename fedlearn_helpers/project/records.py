"""What is written into a project's folder: a record for each run, and a conclusion."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from statistics import fmean
from typing import Any, Literal

from fedlearn_helpers.errors import InputError, check_number, check_one_of, check_whole_number
from fedlearn_helpers.project.plan import LARGEST, check_name, check_text

OUTCOMES = ("confirmed", "refuted", "undecided")
Outcome = Literal["confirmed", "refuted", "undecided"]
_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
_LARGEST_WHOLE = 2**53


@dataclass(frozen=True)
class Record:
    """One run.

    Attributes:
        setting: one of the plan's.
        algorithm: one of the plan's, or a reference line.
        seed: a whole number >= 0.
        per_client: the metric of each client, by its name; finite.
        rounds: how many there were; 0 for a reference line.
        bytes: sent in training, both ways together.
        seconds: how long it took; None if it was not measured.
        recorded: when, in UTC.

    Raises:
        InputError: a value that cannot be.
    """

    setting: str
    algorithm: str
    seed: int
    per_client: Mapping[str, float]
    rounds: int
    bytes: int
    seconds: float | None
    recorded: str

    def __post_init__(self) -> None:
        check_name("setting", self.setting)
        check_name("algorithm", self.algorithm)
        for name in ("seed", "rounds", "bytes"):
            object.__setattr__(self, name, _check_whole(name, getattr(self, name)))
        if not isinstance(self.per_client, Mapping) or not self.per_client:
            raise InputError(f"per_client must have a number for each client, got {self.per_client!r:.80}")
        for client, value in self.per_client.items():
            check_name("a client of per_client", client)
            limits = f"a finite number, at most {LARGEST:g}"
            check_number(f"per_client of {client!r}", value, limits, _is_sound)
        per_client = {client: float(value) for client, value in self.per_client.items()}
        object.__setattr__(self, "per_client", per_client)
        if self.seconds is not None:
            check_number("seconds", self.seconds, ">= 0", lambda value: 0 <= value <= LARGEST)
            object.__setattr__(self, "seconds", float(self.seconds))
        when(self.recorded)

    @property
    def name(self) -> str:
        """Which run it is."""
        return run_name(self.setting, self.algorithm, self.seed)

    @property
    def mean(self) -> float:
        """The mean over clients, each counted once."""
        return fmean(self.per_client.values())

    def same_numbers(self, other: Record) -> bool:
        """Say whether another record has the same numbers; times may differ."""
        mine, theirs = asdict(self), asdict(other)
        return all(mine[name] == theirs[name] for name in mine if name not in ("seconds", "recorded"))

    def digest(self, before: str) -> str:
        """Return a hash of this record and of that of the record before it, or of the plan."""
        return digest_of([before, asdict(self)])


@dataclass(frozen=True)
class Conclusion:
    """What a project concludes.

    Attributes:
        outcome: what became of the claim: "confirmed", "refuted" or "undecided".
        because: what in the results says so.
        limitation: what they do not show.
        threat: what became of the plan's threat: what was tried, and what is left open.
        records: how many there were.
        code: of the last of them.

    Raises:
        InputError: an unknown outcome, or no sentence. Limitation and threat may be "" for the time being.
    """

    outcome: Outcome
    because: str
    limitation: str
    threat: str
    records: int
    code: str

    def __post_init__(self) -> None:
        check_one_of("outcome", self.outcome, OUTCOMES)
        check_text("because", self.because)
        for name in ("limitation", "threat"):
            if getattr(self, name) != "":
                check_text(name, getattr(self, name))
        _check_whole("records", self.records)


def _check_whole(argument: str, value: object) -> int:
    number = check_whole_number(argument, value, 0)
    check_number(argument, number, f"at most {_LARGEST_WHOLE}", lambda value: value <= _LARGEST_WHOLE)
    return number


def _is_sound(value: Any) -> bool:
    return not isinstance(value, bool) and abs(value) <= LARGEST


def run_name(setting: str, algorithm: str, seed: int) -> str:
    """Return which run it is, in words."""
    return f"{algorithm} in {setting!r} with seed {seed}"


def digest_of(content: Any) -> str:
    """Return one hash of what JSON can hold, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def now() -> str:
    """Return the time in UTC, such as "2026-05-04T09:30:00+00:00"."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def when(text: object) -> datetime:
    """Return the time that `now` wrote.

    Raises:
        InputError: it is no such time.
    """
    try:
        if isinstance(text, str) and _TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:  # a 31st of February
        pass
    raise InputError(f"a time must look like 2026-05-04T09:30:00+00:00, got {text!r:.80}")

"""What a project is going to show: written before the first run, with a number in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast

from fedlearn_helpers.decision import QUESTIONS, Verdict, decide
from fedlearn_helpers.decision.decide import DEVICE, SILO
from fedlearn_helpers.errors import InputError, check_number, check_one_of, check_whole_number

BUDGETS = ("rounds", "bytes")
LARGEST = 1e12  # of a metric: what is larger is a mistake, and its sums could overflow
_NAME = re.compile(r"\w[\w .:+()-]{0,59}")
_LONGEST = 2000  # letters
_WORDS = 3
_MOST = 20  # names in a list


def check_name(argument: str, value: object) -> str:
    """Return a short name: letters, digits and " .:+()-_", 60 at most, and at the beginning a letter or a digit.

    A letter with its accent is made one letter (NFC): some systems write two, and names must be equal if they look so.

    Raises:
        InputError: it is none.
    """
    value = unicodedata.normalize("NFC", value) if isinstance(value, str) else value
    if not (isinstance(value, str) and _NAME.fullmatch(value) and value == value.strip() and value.isprintable()):
        raise InputError(f"{argument} must be a name of at most 60 letters, digits and ' .:+()-_', got {value!r:.80}")
    return value


def check_text(argument: str, value: object) -> str:
    """Return a text of some words, without spaces around it.

    Raises:
        InputError: it has fewer than three words, more than 2,000 letters, or letters that no file can hold.
    """
    if not isinstance(value, str) or not _WORDS <= len(value.split()) or len(value) > _LONGEST:
        raise InputError(f"{argument} must be a sentence of {_WORDS} words to {_LONGEST} letters, got {value!r:.80}")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise InputError(f"{argument} must have letters that UTF-8 can hold, got {value!r:.80}")
    return value.strip()


def _names(argument: str, values: object, least: int) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InputError(f"{argument} must be a list of names, got {values!r:.80}")
    if len(values) > _MOST:
        raise InputError(f"{argument} must have at most {_MOST} names, got {len(values)}")
    names = tuple(check_name(argument, value) for value in values)
    if len(names) < least or len(set(names)) < len(names):
        raise InputError(f"{argument} must have at least {least} different names, got {list(names)}")
    return names


@dataclass(frozen=True)
class Plan:
    """A project's plan.

    The claim is about one difference: the mean over clients that the candidate reaches, less that of the baseline, with
    the same seed, in the first setting. It says that this difference is on the side of `threshold` on which
    `predicted_difference` is. With the default of 0 the claim is "better" or "worse". "It loses less than two points"
    has the threshold -0.02 and predicts 0.

    Attributes:
        question: what the runs shall answer.
        field: whose data, such as "cardiology".
        clients: who they are, how many, and what differs between them.
        answers: to the ten questions of `fedlearn_helpers.decision.QUESTIONS`.
        dataset: its name.
        settings: the first is that of the claim; those behind it try to break it, by other data or other conditions.
        algorithms: what is compared, two or more. The reference lines "local only" and "centralized" are recorded in
            any case, and "local only" may be the baseline.
        baseline: the one of them to beat; the candidate is the first other one.
        metric: what is measured for each client.
        prediction: what will come out, and why.
        predicted_difference: the number, in the metric's unit.
        refuted_by: what would have to come out for the claim to be wrong.
        budget: of each run of a compared algorithm, a number of `budget_unit`.
        threat: whom the federation has to fear, and what they could do.
        budget_unit: "rounds" or "bytes", of both ways together.
        threshold: what the difference is compared with.
        higher_is_better: whether a larger metric is better.
        despite: why it is built all the same, if the ten answers do not say "federate"; "" if they do.

    Raises:
        InputError: a field that cannot work; answers that contradict each other.
    """

    question: str
    field: str
    clients: str
    answers: Mapping[str, str]
    dataset: str
    settings: tuple[str, ...]
    algorithms: tuple[str, ...]
    baseline: str
    metric: str
    prediction: str
    predicted_difference: float
    refuted_by: str
    budget: int
    threat: str
    budget_unit: Literal["rounds", "bytes"] = "rounds"
    threshold: float = 0.0
    higher_is_better: bool = True
    despite: str = ""

    def __post_init__(self) -> None:
        changed: dict[str, Any] = {
            name: check_text(name, getattr(self, name))
            for name in ("question", "clients", "prediction", "refuted_by", "threat")
        }
        changed |= {name: check_name(name, getattr(self, name)) for name in ("field", "dataset", "baseline", "metric")}
        changed["settings"] = _names("settings", self.settings, 1)
        changed["algorithms"] = _names("algorithms", self.algorithms, 2)
        check_one_of("baseline", changed["baseline"], changed["algorithms"])
        for name in ("predicted_difference", "threshold"):
            limits = f"a number from {-LARGEST:g} to {LARGEST:g}"
            check_number(name, getattr(self, name), limits, lambda value: abs(value) <= LARGEST)
            changed[name] = float(getattr(self, name))
        if changed["predicted_difference"] == changed["threshold"]:
            raise InputError(
                f"predicted_difference must differ from threshold, got {self.threshold:g} for both: no run can show "
                "that two things are equal, so say how much of a loss is still none"
            )
        changed["budget"] = check_whole_number("budget", self.budget, 1)
        check_one_of("budget_unit", self.budget_unit, BUDGETS)
        check_one_of("higher_is_better", self.higher_is_better, (True, False))
        changed["higher_is_better"] = bool(self.higher_is_better)
        if not isinstance(self.answers, Mapping):
            raise InputError(f"answers must be a dictionary of the ten questions, got {self.answers!r:.80}")
        verdict = decide(self.answers)
        changed["answers"] = {question.name: self.answers[question.name] for question in QUESTIONS}
        if verdict.verdict not in (SILO, DEVICE) or self.despite != "":
            if self.despite == "":
                raise InputError(
                    f"despite must say why it is built all the same, got '': the answers say {verdict.verdict!r}, "
                    f"since {verdict.reasons[0].text}"
                )
            changed["despite"] = check_text("despite", self.despite)
        for name, value in changed.items():
            object.__setattr__(self, name, value)

    @property
    def candidate(self) -> str:
        """The algorithm that the claim is about: the first that is not the baseline."""
        return next(name for name in self.algorithms if name != self.baseline)

    @property
    def verdict(self) -> Verdict:
        """What the ten answers say."""
        return decide(self.answers)

    @property
    def claim(self) -> str:
        """The claim in one sentence."""
        word = "more" if self.predicted_difference > self.threshold else "less"
        return f"{self.metric} of {self.candidate} less that of {self.baseline} is {word} than {self.threshold:g}"

    def as_json(self) -> dict[str, Any]:
        """Return all fields, lists in place of tuples."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def plan_from_json(content: object) -> Plan:
    """Return the plan of what `Plan.as_json` returned.

    Raises:
        InputError: a field is missing, unknown or cannot work.
    """
    names = [field.name for field in fields(Plan)]
    if not isinstance(content, dict) or set(content) != set(names):
        found = set(content) if isinstance(content, dict) else set()
        name = next((name for name in names if name not in found), None)
        what = f"without {name!r}" if name else f"with {min(found - set(names))!r:.80}"
        raise InputError(f"plan must have exactly the fields of a Plan, got one {what}")
    return Plan(**cast(dict[str, Any], content))

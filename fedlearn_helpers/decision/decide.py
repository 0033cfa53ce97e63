"""Should this be federated at all? Read `RULES` from the top: the first rule with a verdict that fits decides.

Rules without a verdict are remarks; those that fit stand behind the deciding reason, if there will be a federation.
There is no score, and no weight: whoever disagrees with a rule can point at its line.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fedlearn_helpers.decision import places as at
from fedlearn_helpers.decision.places import Place
from fedlearn_helpers.decision.questions import QUESTIONS
from fedlearn_helpers.errors import InputError, check_one_of

CENTRALIZE = "centralize"
LOCAL = "keep it local"
STATISTICS = "federated statistics are enough"
SILO = "federate (cross-silo)"
DEVICE = "federate (cross-device)"
NOT_YET = "not yet"
VERDICTS = (CENTRALIZE, LOCAL, STATISTICS, SILO, DEVICE, NOT_YET)
_REMARK = ""
_WITH_REMARKS = (STATISTICS, SILO, DEVICE)


@dataclass(frozen=True)
class Reason:
    """Why: a sentence, where it is shown, and the answers that it rests on.

    Attributes:
        text: one sentence.
        place: the section of a notebook that shows it.
        because: the names of the questions, in the order of the rule; none for the last rule.
    """

    text: str
    place: Place
    because: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What to do.

    Attributes:
        verdict: one of `VERDICTS`.
        first: with "not yet" what comes first; "" otherwise.
        reasons: the deciding one, then remarks.
    """

    verdict: str
    first: str
    reasons: tuple[Reason, ...]

    def __str__(self) -> str:
        head = f"{self.verdict}: first {self.first}" if self.first else self.verdict
        return "\n".join([head, *(f"- {one.text} ({one.place.number}: {one.place.heading})" for one in self.reasons)])


@dataclass(frozen=True)
class Rule:
    """One line of the table.

    Attributes:
        when: "question=answer" or "question=answer|answer", all of which must hold, with spaces between them.
        verdict: what then; "" for a remark.
        text: the sentence; with "not yet" it begins with what comes first, and a colon.
        place: where it is shown.
    """

    when: str
    verdict: str
    text: str
    place: Place

    @property
    def conditions(self) -> dict[str, tuple[str, ...]]:
        """The answers that fit, by question."""
        return {name: tuple(fit.split("|")) for name, _, fit in (part.partition("=") for part in self.when.split())}

    def fits(self, answers: Mapping[str, str]) -> bool:
        """Say whether all conditions hold."""
        return all(answers[name] in fit for name, fit in self.conditions.items())


# fmt: off
RULES = (
    Rule("right=unsettled", NOT_YET, "settle the right to use the data: it is needed where they lie", at.REVEALS),
    Rule("alone=enough", LOCAL, "a party alone is good enough, and a federation costs more than it", at.GAIN),
    Rule("right=pooled network=data", CENTRALIZE, "one place is least work, and no result is better", at.LINES),
    Rule("wanted=model alone=unmeasured", NOT_YET, "measure a party alone: else no gain can be shown", at.ALONE),
    Rule("wanted=model alike=contradict", LOCAL, "no single model is right for all; look for who agrees", at.CONCEPT),
    Rule("wanted=model labels=missing", NOT_YET, "agree on labels: a mean of different rules fits nobody", at.WAYS),
    Rule("wanted=model compute=none", NOT_YET, "give every party a machine: training is where the data lie", at.NEEDS),
    Rule("wanted=model gain=others", NOT_YET, "settle what those who give data get: free riders give nothing", at.PAY),
    Rule("clients=two trust=not-server|neither", NOT_YET, "find a third party: two have no secret sum", at.SUM_PRICE),
    Rule("trust=neither", NOT_YET, "decide whom to trust: what hides updates also hides wrong ones", at.CONFLICT),
    Rule("wanted=statistics", STATISTICS, "sums of counts answer the question; no model has to travel", at.COUNT),
    Rule("clients=many", DEVICE, "there are many small parties, of which a few are there in a round", at.KINDS),
    Rule("", SILO, "there are few parties, and all of them can be asked in every round", at.KINDS),

    Rule("right=in-place", _REMARK, "the data stay, and what is sent still reveals something of them", at.REVEALS),
    Rule("right=pooled", _REMARK, "data that may move are the yardstick: count the bytes of both ways", at.WIRE),
    Rule("clients=two trust=all|not-clients", _REMARK, "of a mean of two, each knows the other's part", at.SUM_PRICE),
    Rule("clients=many", _REMARK, "who is away takes its data along: measure those who are seldom there", at.AWAY),
    Rule("wanted=model alike=differ", _REMARK, "measure each party, then fine-tune at home", at.FINE_TUNING),
    Rule("wanted=model labels=made", _REMARK, "compare the labels of two parties first: rules drift apart", at.WAYS),
    Rule("wanted=model network=hardly", _REMARK, "plan few rounds with many local epochs", at.VILLAGE),
    Rule("wanted=model compute=device", _REMARK, "the model must fit the device, training included", at.NEEDS),
    Rule("trust=not-server", _REMARK, "add under masks, so that only the sum is seen", at.SUM_ALONE),
    Rule("trust=not-server clients=few", _REMARK, "noise that hides a whole party is dear with few", at.NOISE_PRICE),
    Rule("trust=not-clients", _REMARK, "a robust aggregator helps, and costs those who differ", at.DEFENCES),
    Rule("gain=uneven", _REMARK, "say beforehand who is paid what, and by what measure", at.PAY),
)
# fmt: on

CONTRADICTIONS = {
    "right=pooled trust=not-server|neither": "who may hold all data may see an update of them",
    "wanted=model alone=enough compute=none": "what cannot train has measured no model of its own",
    "wanted=model alone=enough labels=missing": "without labels nobody has measured a model",
}


def decide(answers: Mapping[str, str]) -> Verdict:
    """Return what to do, and why.

    Args:
        answers: for each name in `QUESTIONS` the name of one of its answers.

    Raises:
        InputError: an answer is missing, a question or an answer is not known, or answers contradict each other.
    """
    _check(answers)
    decisive = next(rule for rule in RULES if rule.verdict and rule.fits(answers))
    first = decisive.text.partition(":")[0] if decisive.verdict == NOT_YET else ""
    remarks = [rule for rule in RULES if not rule.verdict and rule.fits(answers)]
    applied = [decisive, *(remarks if decisive.verdict in _WITH_REMARKS else ())]
    reasons = tuple(Reason(rule.text, rule.place, tuple(rule.conditions)) for rule in applied)
    return Verdict(decisive.verdict, first, reasons)


def _check(answers: Mapping[str, str]) -> None:
    known = {question.name: question for question in QUESTIONS}
    for name in answers:
        check_one_of("a question", name, known)
    for name, question in known.items():
        if name not in answers:
            raise InputError(f"answers must have {name!r} ({question.text}): one of {', '.join(question.answers)}")
        check_one_of(f"the answer to {name!r}", answers[name], question.answers)
    for when, why in CONTRADICTIONS.items():
        if (rule := Rule(when, _REMARK, why, at.WHY)).fits(answers):
            said = " and ".join(f"{name}={answers[name]}" for name in rule.conditions)
            raise InputError(f"answers must not contradict each other, got {said}: {why}")

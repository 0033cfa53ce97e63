"""Exercise 1 of notebook 12: what the decision aid says, and what turns it round."""

from collections.abc import Mapping
from typing import Any

from fedlearn_helpers.decision import QUESTIONS, RULES, Verdict, decide
from fedlearn_helpers.decision.decide import CENTRALIZE, VERDICTS
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.capstone.exercises.answers import two
from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet

_NAMES = tuple(question.name for question in QUESTIONS)
_OF_ANSWERS = {
    "network": "A fast network makes it cheap to move data. It gives nobody the right to.",
    "clients": "How many there are decides which kind of federation it is, not whether data may be moved.",
    "trust": "Trust decides how updates are added, and whether the server sees each of them.",
    "alike": "How much the data differ decides how hard a federation is, and what to measure.",
    "alone": "What one party reaches alone decides whether there is anything to gain.",
}


def _test_verdict(answer: Any, *, answers: Mapping[str, str]) -> str:
    said, question = two(answer, "a verdict and the name of a question")
    said = said.verdict if isinstance(said, Verdict) else said
    if not (isinstance(said, str) and isinstance(question, str)):
        raise NotYet("The answer must be two strings, a verdict and the name of a question.")
    if said in _NAMES and question in VERDICTS:
        raise NotYet("The verdict comes first, then the name of the question.")
    right = decide(answers).verdict
    if said not in VERDICTS:
        if said.strip().lower() in ("federate", "federated", "federation"):
            raise NotYet("There are two kinds of federation, cross-silo and cross-device, and the verdict says which.")
        raise NotYet(f"The verdict must be one of {', '.join(map(repr, VERDICTS))}, and it is {said!r}.")
    if said != right:
        _refuse_verdict(said, answers)
    if question not in _NAMES:
        raise NotYet(
            f"The second part must be the name of a question, one of {', '.join(_NAMES)}: {question!r} is none."
        )
    turned = _turned(answers, question)
    if CENTRALIZE not in turned.values():
        shown = ", ".join(f"with {question}={name} it is {verdict!r}" for name, verdict in turned.items())
        raise NotYet(
            f"{_OF_ANSWERS.get(question, 'That answer is not what keeps the data apart.')} decide says: {shown}."
        )
    changed = next(name for name, verdict in turned.items() if verdict == CENTRALIZE)
    text = decide({**answers, question: changed}).reasons[0].text
    return (
        f"It is {right!r}; with {question}={changed} it becomes {CENTRALIZE!r}: {text}. Ask that question first: the answer "
        "may change, and a contract may cost less than a federation."
    )


def _turned(answers: Mapping[str, str], name: str) -> dict[str, str]:
    """Return the verdict for every other answer to one question."""
    question = next(question for question in QUESTIONS if question.name == name)
    found = {}
    for other in question.answers:
        if other != answers[name]:
            try:
                found[other] = decide({**answers, name: other}).verdict
            except InputError:
                found[other] = "a contradiction"
    return found


def _refuse_verdict(said: str, answers: Mapping[str, str]) -> None:
    rules = [rule for rule in RULES if rule.verdict == said]
    decisive = next(rule for rule in RULES if rule.verdict and rule.fits(answers))
    if any(rule.fits(answers) for rule in rules):
        raise NotYet(
            f"A rule that says {said!r} fits, and one above it fits, too: {decisive.when}. The first one decides."
        )
    needs = "; or ".join(rule.when.replace(" ", " and ") for rule in rules)
    asked = list(dict.fromkeys(name for rule in rules for name in rule.conditions))
    here = ", ".join(f"{name}={answers[name]}" for name in asked)
    raise NotYet(f"No rule that says {said!r} fits. It takes {needs}. Here it is {here}.")


verdict = Exercise(
    name="verdict",
    kind="predict",
    difficulty="easy",
    minutes=3,
    hints=(
        "Go down the table of rules with the answers of the case. The first rule with a verdict that fits decides.",
        "Which rule says 'centralize', and which of its two answers does the case have already?",
    ),
    solution_code="""
        prediction = ("federate (cross-silo)", "right")
    """,
    test=_test_verdict,
)

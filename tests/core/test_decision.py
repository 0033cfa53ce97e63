"""Should this be federated? The table of rules on written cases, and what it refuses."""

import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

from fedlearn_helpers.decision import CARDS, CASES, CONTRADICTIONS, QUESTIONS, RULES, decide, places
from fedlearn_helpers.decision.decide import NOT_YET, VERDICTS
from fedlearn_helpers.decision.places import Place
from fedlearn_helpers.errors import InputError

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ANSWERS = {question.name: tuple(question.answers) for question in QUESTIONS}
GOOD = CASES[0].answers
named = {"ids": lambda case: case.name}


def verdict_or_none(answers):
    try:
        return decide(answers)
    except InputError:
        return None


@pytest.mark.parametrize("case", CASES, **named)
def test_a_case_gets_the_verdict_of_its_source(case):
    found = decide(case.answers)
    assert found.verdict == case.verdict
    assert "https://" in case.source and found.reasons
    assert str(found).splitlines()[0].startswith(case.verdict)
    assert len(str(found).splitlines()) == 1 + len(found.reasons)


def test_the_cases_cover_every_verdict_and_a_dozen_of_them_are_projects_or_more_than_one_rule():
    assert {case.verdict for case in CASES} == set(VERDICTS)
    assert len({case.name for case in CASES}) == len(CASES) >= 12
    assert sum(case.real for case in CASES) >= 8


def test_there_are_ten_questions_with_two_to_four_answers():
    assert len(ANSWERS) == 10
    assert {len(answers) for answers in ANSWERS.values()} <= {2, 3, 4}


@pytest.mark.parametrize("name", ANSWERS)
def test_no_question_is_dead(name):
    """In some case another answer gives another verdict, or other reasons."""
    changed = [
        other
        for case in CASES
        for answer in ANSWERS[name]
        if (other := verdict_or_none(case.answers | {name: answer})) and other != decide(case.answers)
    ]
    assert changed


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name in ANSWERS for answer in ANSWERS[name]])
def test_no_answer_is_dead(name, answer):
    """For each answer there is a case and another answer that leads elsewhere."""
    for case in CASES:
        one = verdict_or_none(case.answers | {name: answer})
        others = [verdict_or_none(case.answers | {name: other}) for other in ANSWERS[name] if other != answer]
        if one and any(other and other != one for other in others):
            return
    pytest.fail(f"{name}={answer} changes nothing")


@pytest.mark.slow
def test_every_rule_decides_or_remarks_and_all_answers_get_a_verdict():
    """All combinations of answers are tried: none falls through, and no rule is hidden behind those above it."""
    used = Counter()
    by_text = {rule.text: rule for rule in RULES}
    assert len(by_text) == len(RULES), "texts tell rules apart here"
    for combination in itertools.product(*ANSWERS.values()):
        answers = dict(zip(ANSWERS, combination, strict=True))
        if found := verdict_or_none(answers):
            assert found.verdict in VERDICTS
            assert bool(found.first) == (found.verdict == NOT_YET)
            used.update(reason.text for reason in found.reasons)
            assert all(by_text[reason.text].fits(answers) for reason in found.reasons)
    assert set(used) == set(by_text)


def test_the_order_of_the_rules_matters_where_it_should():
    """What is settled first hides what comes after: the right to use data comes before all else."""
    for case in CASES:
        if other := verdict_or_none(case.answers | {"right": "unsettled"}):
            assert (other.verdict, other.first) == (NOT_YET, "settle the right to use the data")


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"clients": "two"}, "find a third party"),
        ({"clients": "two", "trust": "neither"}, "find a third party"),
        ({"clients": "few", "trust": "neither"}, "decide whom to trust"),
    ],
)
@pytest.mark.parametrize("wanted", ANSWERS["wanted"])
def test_a_sum_that_hides_nothing_is_none_for_a_count_either(wanted, change, first):
    assert GOOD["trust"] == "not-server"
    assert decide(GOOD | {"wanted": wanted} | change).first == first
    others = GOOD | {"wanted": wanted} | change | {"trust": "all"}
    assert decide(others).verdict != NOT_YET


def test_rules_and_contradictions_name_questions_and_answers_that_exist():
    conditions = [rule.conditions for rule in RULES]
    conditions += [type(RULES[0])(when, "", why, places.WHY).conditions for when, why in CONTRADICTIONS.items()]
    for names in conditions:
        for name, fit in names.items():
            assert set(fit) < set(ANSWERS[name]), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": None}, "answers must have 'network' .*: one of data, models, hardly"),
        ({"network": "fast"}, "the answer to 'network' must be 'data', 'models', 'hardly', got 'fast'"),
        ({"budget": "large"}, "a question must be 'wanted', .*, got 'budget'"),
        ({"right": "pooled"}, "got right=pooled and trust=not-server: who may hold all data"),
        ({"alone": "enough", "compute": "none"}, "got wanted=model and alone=enough and compute=none"),
        ({"alone": "enough", "labels": "missing"}, "got wanted=model and alone=enough and labels=missing"),
    ],
)
def test_missing_unknown_and_contradictory_answers_are_refused_by_name(change, message):
    answers = {name: answer for name, answer in (GOOD | change).items() if answer is not None}
    with pytest.raises(InputError, match=message):
        decide(answers)


def test_what_contradicts_itself_for_a_model_may_be_right_for_a_count():
    assert decide(GOOD | {"wanted": "statistics", "alone": "enough", "compute": "none"})


def test_the_answers_that_were_given_stay_as_they_are():
    answers = dict(GOOD)
    decide(answers)
    assert answers == GOOD


def test_every_place_is_one_of_a_rule():
    named = {place for place in vars(places).values() if type(place) is Place}
    assert named == {rule.place for rule in RULES} | {places.WHY}, "contradictions have none of their own, and take WHY"


@pytest.mark.parametrize(
    "place",
    sorted(
        {rule.place for rule in RULES} | {card.place for card in CARDS} | {places.WHY},
        key=str,  # the same order in every process
    ),
    ids=lambda place: f"{place.number}-{place.cell}",
)
def test_places_are_sections_of_notebooks(place):
    cells = json.loads((NOTEBOOKS / f"{place.notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    (text,) = ["".join(cell["source"]) for cell in cells if cell["id"] == place.cell]
    headings = [line.lstrip("#").strip() for line in text.splitlines() if line.startswith("#")]
    assert place.heading in headings
    assert (
        place.link == f"[{place.number}, {place.heading}](<{place.notebook}.ipynb#{place.heading.replace(' ', '-')}>)"
    )

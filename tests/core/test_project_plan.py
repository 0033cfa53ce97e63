"""Plans: what is refused, and what survives a file."""

import json

import numpy as np
import pytest
from made_projects import ANSWERS, plan

from fedlearn_helpers.decision import CASES
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.project.evidence import outcome_of
from fedlearn_helpers.project.plan import plan_from_json

NOT_YET = next(case.answers for case in CASES if case.name == "Nobody has measured one party alone")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"question": ""}, "^question must be a sentence of 3 words"),
        ({"question": "why?"}, "^question must be a sentence"),
        ({"clients": 3}, "^clients must be a sentence"),
        ({"threat": "none"}, "^threat must be a sentence"),
        ({"prediction": "x " * 1500}, "^prediction must be a sentence"),
        ({"refuted_by": "a \ud800 b c"}, "^refuted_by must have letters that UTF-8 can hold"),
        ({"field": ""}, "^field must be a name"),
        ({"metric": "=1+1"}, "^metric must be a name"),
        ({"metric": "a\nb"}, "^metric must be a name"),
        ({"dataset": "x" * 61}, "^dataset must be a name"),
        ({"settings": ()}, "^settings must have at least 1"),
        ({"settings": [f"s{number}" for number in range(21)]}, "^settings must have at most 20 names, got 21"),
        ({"settings": "iid"}, "^settings must be a list of names"),
        ({"algorithms": ("fedavg",)}, r"^algorithms must have at least 2 different names, got \['fedavg'\]"),
        ({"algorithms": ("fedavg", "fedavg")}, "^algorithms must have at least 2 different names"),
        ({"baseline": "fedprox"}, "^baseline must be 'fedavg', 'scaffold', got 'fedprox'"),
        ({"predicted_difference": float("nan")}, "^predicted_difference must be a number from"),
        ({"predicted_difference": "better"}, "^predicted_difference must be a number from"),
        ({"predicted_difference": 10**100}, "^predicted_difference must be a number from"),
        ({"predicted_difference": 0}, "^predicted_difference must differ from threshold, got 0 for both: no run"),
        ({"threshold": float("inf")}, "^threshold must be"),
        ({"budget": 0}, "^budget must be a whole number >= 1"),
        ({"budget": 1.5}, "^budget must be a whole number"),
        ({"budget_unit": "hours"}, "^budget_unit must be 'rounds', 'bytes'"),
        ({"higher_is_better": "yes"}, "^higher_is_better must be True, False"),
        ({"answers": None}, "^answers must be a dictionary"),
        ({"answers": {}}, "^answers must have 'wanted'"),
        ({"answers": ANSWERS | {"trust": "me"}}, "^the answer to 'trust' must be"),
        (
            {"answers": NOT_YET},
            "^despite must say why it is built all the same, got '': the answers say 'not yet', since",
        ),
        ({"answers": NOT_YET, "despite": "because"}, "^despite must be a sentence"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_in_one_sentence(changed, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        plan(**changed)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_project_against_the_advice_says_why():
    assert plan(answers=NOT_YET, despite="This project measures a party alone.").verdict.verdict == "not yet"


@pytest.mark.parametrize("changed", [{}, {"settings": ["a", "b:0.1"]}, {"budget_unit": "bytes", "threshold": -0.02}])
def test_a_plan_survives_a_file(changed):
    made = plan(**changed)
    assert plan_from_json(json.loads(json.dumps(made.as_json()))) == made


@pytest.mark.parametrize("change", [lambda c: c.pop("threat"), lambda c: c.update(more=1)], ids=["less", "more"])
def test_a_plan_of_a_file_with_other_fields_is_refused(change):
    content = plan().as_json()
    change(content)
    with pytest.raises(InputError, match="^plan must have exactly the fields of a Plan, got one with"):
        plan_from_json(content)


def test_names_that_look_the_same_are_the_same():
    """Some systems write an umlaut as a letter and an accent."""
    apart = {"field": "Gro\u0308ße", "settings": ["Zu\u0308rich"], "algorithms": ["fedavg", "gru\u0308n"]}
    made = plan(**apart, baseline="gru\u0308n")
    assert (made.field, made.settings, made.baseline) == ("Größe", ("Zürich",), "grün") and made.candidate == "fedavg"
    with pytest.raises(InputError, match="^settings must have at least 1 different names"):
        plan(settings=["Zu\u0308rich", "Zürich"])
    with pytest.raises(InputError, match="^field must be a name"):
        plan(field="\u0308rger")


@pytest.mark.parametrize("value", [np.True_, np.False_, 1, 0])
def test_a_truth_of_another_kind_is_written_as_one(value):
    made = plan(higher_is_better=value)
    assert json.loads(json.dumps(made.as_json()))["higher_is_better"] is bool(value)


def test_the_candidate_is_the_first_that_is_not_the_baseline():
    assert plan().candidate == "scaffold"
    assert plan(algorithms=("fedprox", "scaffold", "fedavg")).candidate == "fedprox"
    assert plan(algorithms=("local only", "fedavg"), baseline="local only").candidate == "fedavg"


@pytest.mark.parametrize(
    ("predicted", "threshold", "found", "outcome"),
    [
        (0.05, 0.0, (0.02, 0.021, 0.022), "confirmed"),
        (0.05, 0.0, (-0.02, -0.021, -0.022), "refuted"),
        (0.05, 0.0, (0.02, 0.001, 0.05), "undecided"),
        (0.05, 0.0, (0.02, -0.021, 0.022), "undecided"),
        (-0.05, 0.0, (0.02, 0.021, 0.022), "refuted"),
        (-0.05, 0.0, (-0.02, -0.021, -0.022), "confirmed"),
        (0.0, -0.02, (-0.001, 0.001, -0.002), "confirmed"),  # loses less than two points
        (0.0, -0.02, (-0.03, -0.031, -0.032), "refuted"),
        (0.0, -0.02, (-0.019, -0.021, -0.020), "undecided"),
        (0.05, 0.02, (0.52 - 0.5,) * 3, "undecided"),  # as large as the threshold, but for rounding
        (0.05, 0.02, (0.5 - 0.48,) * 3, "undecided"),
        (0.05, 0.02, (0.021,) * 3, "confirmed"),
        (0.05, 0.02, (0.019,) * 3, "refuted"),
        (0.05, 0.0, (0.02,), "undecided"),
        (0.05, 0.0, (), "undecided"),
    ],
)
def test_what_numbers_make_of_a_claim(predicted, threshold, found, outcome):
    made = plan(predicted_difference=predicted, threshold=threshold)
    assert outcome_of(made, dict(enumerate(found))) == outcome

"""Each exercise: its solution passes, its stub is not attempted, and wrong answers are told what is wrong."""

import re

import numpy as np
import pandas as pd
import pytest
from flwr.app import MetricRecord, RecordDict

from fedlearn_helpers.exercises import centralized_cnn, federated_averaging, start_here
from fedlearn_helpers.exercises.exercise import Exercise
from fedlearn_helpers.metrics import weighted_average

MODULES = (start_here, centralized_cnn, federated_averaging)


def error_after(steps):
    return 0.1 + (steps - 7) ** 2 / 100


def loss_after(rate):
    return 1 + abs(np.log(rate / 0.003))


SETTINGS = pd.DataFrame({"accuracy": [0.70, 0.79, 0.80, 0.80], "megabytes": [1.0, 4.0, 8.0, 16.0]})
GIVEN = {
    "best_local_steps": {"error_after": error_after},
    "better_rate": {"loss_after": loss_after},
    "cheapest_setting": {"settings": SETTINGS},
}
ANSWER = {  # the variable that each exercise's cell defines
    "two_records": "prediction",
    "average": "server_average",
    "best_local_steps": "best_steps",
    "layer_weights": "prediction",
    "accuracy_per_class": "accuracy_per_class",
    "better_rate": "best_rate",
    "models_sent": "prediction",
    "worst_client": "aggregate_with_worst",
    "cheapest_setting": "chosen",
}
ALL = [(module, exercise) for module in MODULES for exercise in vars(module).values() if isinstance(exercise, Exercise)]
every_exercise = pytest.mark.parametrize(("module", "exercise"), ALL, ids=[exercise.name for _, exercise in ALL])


def check(exercise, answer):
    return exercise.check(answer, **GIVEN.get(exercise.name, {}))


def test_there_are_three_kinds_in_every_notebook():
    for module in MODULES:
        assert {exercise.kind for of, exercise in ALL if of is module} == {"predict", "code", "explore"}


@every_exercise
def test_its_name_is_its_variable(module, exercise):
    assert getattr(module, exercise.name) is exercise


@every_exercise
def test_the_solution_is_correct(module, exercise):
    names = {"np": np, "RecordDict": RecordDict, "MetricRecord": MetricRecord, "weighted_average": weighted_average}
    names |= GIVEN.get(exercise.name, {})
    exec(exercise.solution_source, names)
    verdict = check(exercise, names[ANSWER[exercise.name]])
    assert verdict.status == "correct", verdict
    assert len(verdict.message) > 40


@every_exercise
@pytest.mark.parametrize("stub", [..., lambda *_: ...], ids=["value", "function"])
def test_the_stub_is_not_attempted(module, exercise, stub):
    if stub is not ... and exercise.kind != "code":
        return
    verdict = check(exercise, stub)
    assert verdict.status == "not attempted"
    assert f"exercises.{exercise.name}.hint()" in verdict.message


def aggregate(change):
    """An answer to `worst_client` that does one thing differently."""

    def answer(replies, weighted_by):
        reports = [dict(reply["metrics"]) for reply in replies]
        examples = [report.pop(weighted_by) for report in reports]
        result = weighted_average(reports, examples) | {"worst_accuracy": min(report["accuracy"] for report in reports)}
        return change(result, reports, examples)

    return answer


def counting(divide):
    """An answer to `accuracy_per_class` with another denominator."""

    def answer(labels, predictions, num_classes):
        right = np.bincount(labels[labels == predictions], minlength=num_classes)
        with np.errstate(all="ignore"):
            return right / divide(labels, predictions, num_classes)

    return answer


def images_of(labels, predictions, num_classes):
    return np.bincount(labels, minlength=num_classes)


WRONG = [
    (start_here.two_records, "A", "Only if the gradient came from one record"),
    (start_here.two_records, "c", "The gradient does depend on the records"),
    (start_here.two_records, "D", "must be one of 'A', 'B', 'C', and it is 'D'"),
    (start_here.two_records, 2, "must be one of 'A', 'B', 'C', and it is 2"),
    (start_here.average, lambda returned, examples: np.mean(returned, axis=0), "That is the plain mean"),
    (
        start_here.average,
        lambda returned, examples: sum(n * w for n, w in zip(examples, returned, strict=True)),
        "single client",
    ),
    (start_here.average, lambda returned, examples: np.average(returned, weights=examples, axis=0).mean(), "shape"),
    (start_here.average, lambda returned, examples: np.average(returned, weights=examples[::-1], axis=0), "wrong way"),
    (start_here.average, lambda returned, examples: returned @ examples, "raised TypeError"),
    (start_here.average, lambda returned, examples: None, "returned None"),
    (start_here.average, 3, "must be a function, and it is 3"),
    (start_here.average, lambda returned, examples: sum(returned) / len(returned), "plain mean"),
    (start_here.best_local_steps, 1, "still on its way"),
    (start_here.best_local_steps, 50, "drift apart"),
    (start_here.best_local_steps, 51, "from 1 to 50, and it is 51"),
    (start_here.best_local_steps, 2.5, "from 1 to 50, and it is 2.5"),
    (start_here.best_local_steps, "many", "must be a number, and it is 'many'"),
    (centralized_cnn.layer_weights, 216, "bias"),
    (centralized_cnn.layer_weights, 80, "That is for grey images"),
    (centralized_cnn.layer_weights, 240, "one bias, not one for every channel"),
    (centralized_cnn.layer_weights, 28, "That is one filter. There are eight."),
    (centralized_cnn.layer_weights, 1000, "1000 is not it"),
    (
        centralized_cnn.accuracy_per_class,
        counting(lambda true, said, n: np.bincount(said, minlength=n)),
        "how often the model said",
    ),
    (centralized_cnn.accuracy_per_class, counting(lambda true, said, n: len(true)), "by the number of all images"),
    (centralized_cnn.accuracy_per_class, counting(lambda true, said, n: 1), "These are counts"),
    (
        centralized_cnn.accuracy_per_class,
        lambda true, said, n: np.nan_to_num(counting(images_of)(true, said, n)),
        "must be nan, and it is 0",
    ),
    (centralized_cnn.accuracy_per_class, lambda true, said, n: np.mean(true == said), "one number per class"),
    (
        centralized_cnn.accuracy_per_class,
        lambda true, said, n: np.array([np.mean(said[true == k] == k) for k in np.unique(true)]),
        "the last classes have no images",
    ),
    (centralized_cnn.better_rate, 0.0001, "With so small a step"),
    (centralized_cnn.better_rate, 0.5, "With so large a step"),
    (centralized_cnn.better_rate, -1, "above 0 and at most 1, and it is -1"),
    (centralized_cnn.better_rate, None, "must be a number, and it is None"),
    (federated_averaging.models_sent, 10, "That is training alone"),
    (federated_averaging.models_sent, 30, "with all ten clients training"),
    (federated_averaging.models_sent, 25, "Do clients send a model back when they evaluate?"),
    (federated_averaging.models_sent, 7, "7 is not it"),
    (federated_averaging.worst_client, aggregate(lambda result, *_: result), "must return a MetricRecord"),
    (
        federated_averaging.worst_client,
        aggregate(
            lambda result, reports, _: MetricRecord(
                weighted_average(reports, [1] * len(reports)) | {"worst_accuracy": 0.5}
            )
        ),
        "weigh the clients by their examples",
    ),
    (
        federated_averaging.worst_client,
        aggregate(lambda result, *_: MetricRecord({"worst_accuracy": result["worst_accuracy"]})),
        "must stay in the result",
    ),
    (
        federated_averaging.worst_client,
        aggregate(
            lambda result, reports, _: MetricRecord(result | {"worst_accuracy": max(r["accuracy"] for r in reports)})
        ),
        "The worst client is the one with the lowest",
    ),
    (
        federated_averaging.worst_client,
        aggregate(
            lambda result, reports, examples: MetricRecord(
                result | {"worst_accuracy": min(r["accuracy"] * n for r, n in zip(reports, examples, strict=True))}
            )
        ),
        "Examples do not matter",
    ),
    (
        federated_averaging.worst_client,
        aggregate(lambda result, reports, _: MetricRecord(result | {"worst_accuracy": reports[-1]["accuracy"]})),
        "wherever it stands",
    ),
    (
        federated_averaging.worst_client,
        aggregate(lambda result, *_: MetricRecord({"accuracy": result["accuracy"], "loss": result["loss"]})),
        "no 'worst_accuracy'",
    ),
    (federated_averaging.cheapest_setting, 0, "at most 2 points lower"),
    (federated_averaging.cheapest_setting, 2, "Another row is, too"),
    (federated_averaging.cheapest_setting, 9, "the number of a row, 0 to 3, and it is 9"),
    (federated_averaging.cheapest_setting, "first", "must be a number, and it is 'first'"),
]


@pytest.mark.parametrize(
    ("exercise", "answer", "sentence"), WRONG, ids=[f"{entry[0].name}-{number}" for number, entry in enumerate(WRONG)]
)
def test_a_wrong_answer_is_told_what_is_wrong(exercise, answer, sentence):
    verdict = check(exercise, answer)
    assert verdict.status == "not yet"
    assert sentence in verdict.message


@every_exercise
def test_at_least_three_mistakes_are_known(module, exercise):
    sentences = {sentence for of, _, sentence in WRONG if of is exercise}
    assert len(sentences) >= 3


def test_hints_come_one_after_the_other(capsys):
    exercise = Exercise("x", "predict", "easy", 1, ("first", "second"), "prediction = 1", lambda answer: "Yes.")
    for _ in range(3):
        exercise.hint()
    assert capsys.readouterr().out.splitlines() == ["Hint 1 of 2: first", "Hint 2 of 2: second", "Hint 2 of 2: second"]


def test_verdicts_show_themselves_without_markup_of_the_learner():
    exercise = Exercise("x", "predict", "easy", 1, ("", ""), "p = 1", lambda answer: f"<b>{answer}</b>")
    page = exercise.check("<script>")._repr_html_()
    assert 'data-status="correct"' in page and "✓ Correct." in page
    assert "&lt;b&gt;&lt;script&gt;&lt;/b&gt;" in page and "<script>" not in page
    assert repr(exercise.check(1)).startswith("✓ Correct. <b>1</b>")


@every_exercise
def test_the_solution_is_shown_as_code(module, exercise, capsys):
    exercise.solution()
    assert re.search(rf"\b{ANSWER[exercise.name]}\b", exercise.solution_source)

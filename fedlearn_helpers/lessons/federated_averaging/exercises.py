"""The exercises of notebook 02."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from flwr.app import MetricRecord, RecordDict

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number
from fedlearn_helpers.metrics import weighted_average

_TOLERANCE = 0.04


def _test_models_sent(answer: Any) -> str:
    mistakes = {
        5: "Five is the number of clients that train. Each of them receives a model and sends one back.",
        10: "That is training alone: five models down, five up. Whom does the server ask to measure the average?",
        15: "Five down and ten more for the evaluation. Do the five clients that trained send nothing back?",
        30: "That is with all ten clients training. Here half of them train.",
        25: "Do clients send a model back when they evaluate? Their answer is two numbers.",
        40: "Evaluating clients receive a model, and send back numbers, not a model.",
    }
    value = number(answer)
    if value in mistakes:
        raise NotYet(mistakes[int(value)])
    if value != 20:
        raise NotYet(f"{value:g} is not it. Count the models that go down and up to train, then those to evaluate.")
    return "Five down, five up, ten down to be measured: here half of the traffic is the evaluation."


def aggregate_with_worst(replies: list[RecordDict], weighted_by: str) -> MetricRecord:
    """Average the clients' metrics by examples, and add the lowest accuracy of a client."""
    reports = [dict(reply["metrics"]) for reply in replies]
    examples = [report.pop(weighted_by) for report in reports]
    averages = weighted_average(reports, examples)
    averages["worst_accuracy"] = min(report["accuracy"] for report in reports)
    return MetricRecord(averages)


def _test_aggregate_with_worst(answer: Callable[..., Any]) -> str:
    def replies(reports: list[tuple[float, int]]) -> list[RecordDict]:
        return [
            RecordDict(
                {"metrics": MetricRecord({"loss": 1 - accuracy, "accuracy": accuracy, "num-examples": examples})}
            )
            for accuracy, examples in reports
        ]

    def run(reports: list[tuple[float, int]]) -> dict[str, Any]:
        result = call(answer, replies(reports), "num-examples")
        if not isinstance(result, MetricRecord):
            raise NotYet(f"The function must return a MetricRecord, and it returned a {type(result).__name__}.")
        return dict(result)

    result = run([(0.9, 10), (0.5, 30)])
    if "worst_accuracy" not in result:
        raise NotYet(f"The result has no 'worst_accuracy'. It has {', '.join(map(repr, result)) or 'nothing'}.")
    if "accuracy" not in result or "loss" not in result:
        raise NotYet("The averages of accuracy and loss must stay in the result, beside the worst accuracy.")
    if abs(result["accuracy"] - 0.6) > 1e-9:
        plain = abs(result["accuracy"] - 0.7) < 1e-9
        raise NotYet(
            f"The average accuracy must be (10 · 0.9 + 30 · 0.5) / 40 = 0.6, and it is {result['accuracy']:g}"
            + (": weigh the clients by their examples." if plain else ".")
        )
    if result["worst_accuracy"] == 0.9:
        raise NotYet("worst_accuracy is the highest accuracy here. The worst client is the one with the lowest.")
    if result["worst_accuracy"] != 0.5:
        raise NotYet(
            f"With accuracies 0.9 and 0.5 the worst is 0.5, and yours is {result['worst_accuracy']:g}. Examples do not "
            "matter for it: it is a client's own accuracy, not its share of the average."
        )
    if run([(0.2, 1), (0.8, 5), (0.4, 5)])["worst_accuracy"] != 0.2:
        raise NotYet(
            "With accuracies 0.2, 0.8 and 0.4 the worst is 0.2, wherever it stands and however small the client."
        )
    if "num-examples" in result:
        raise NotYet("num-examples is a weight, not a metric: take it out of the reports before you average them.")
    return "The next cell runs three rounds with it: the worst client is in history.rounds, every round."


def _test_cheapest_setting(answer: Any, *, settings: pd.DataFrame) -> str:
    row = number(answer)
    if row not in settings.index:
        raise NotYet(
            f"The answer must be the number of a row, {settings.index[0]} to {settings.index[-1]}, and it is {row:g}."
        )
    best = settings["accuracy"].max()
    good = settings[settings["accuracy"] >= best - _TOLERANCE]
    mine, cheapest = settings.loc[int(row)], good["megabytes"].min()
    if int(row) not in good.index:
        wrong = "It sends least of all, but " if mine["megabytes"] == settings["megabytes"].min() else ""
        lower = f"{100 * (best - mine['accuracy']):.1f} points below the best one, {best:.1%}; "
        raise NotYet(
            f"{wrong}{'row' if wrong else 'Row'} {int(row)} has accuracy {mine['accuracy']:.1%}. That is {lower}"
            f"{100 * _TOLERANCE:g} are allowed."
        )
    if mine["megabytes"] > cheapest:
        most = mine["accuracy"] == best
        about = "is the most accurate" if most else "is accurate enough"
        dearer = f"{mine['megabytes'] / cheapest:.1f} times as much as another row within {100 * _TOLERANCE:g} points"
        raise NotYet(
            f"Row {int(row)} {about}, and sends {mine['megabytes']:.2f} MB: {dearer}."
            + (" The question is what the last points cost." if most else "")
        )
    dearest = settings.loc[settings["accuracy"].idxmax()]
    if dearest["megabytes"] == mine["megabytes"]:
        return f"{mine['accuracy']:.1%} with {mine['megabytes']:.2f} MB: here nothing is gained by sending less."
    return (
        f"{mine['accuracy']:.1%} with {mine['megabytes']:.2f} MB. The most accurate row has "
        f"{100 * (best - mine['accuracy']):.1f} points more and sends {dearest['megabytes'] / mine['megabytes']:.1f} times "
        "as much. One run with few images cannot say whether these points are there at all."
    )


models_sent = Exercise(
    name="models_sent",
    kind="predict",
    difficulty="easy",
    minutes=3,
    hints=(
        "A client that trains receives a model and sends one. A client that evaluates receives one, and sends numbers.",
        "Training first: how many clients, how many models each? Then the evaluation, by all clients.",
    ),
    solution_code="prediction = 5 + 5 + 10",
    test=_test_models_sent,
)

worst_client = Exercise(
    name="worst_client",
    kind="code",
    difficulty="medium",
    minutes=5,
    hints=(
        "Start from aggregate_metrics of section 6, and keep the averages it computes.",
        "weighted_average returns a dictionary. Put one more entry into it before you make the record.",
    ),
    solution_code=aggregate_with_worst,
    test=_test_aggregate_with_worst,
)

cheapest_setting = Exercise(
    name="cheapest_setting",
    kind="explore",
    difficulty="easy",
    minutes=3,
    hints=(
        "The most accurate row is one of those that qualify. Which others do? Among all of them, which sends least?",
        "Subtract 0.04 from the best accuracy. Which rows are not below that?",
    ),
    solution_code="""
        good = settings[settings["accuracy"] >= settings["accuracy"].max() - 0.04]
        chosen = good["megabytes"].idxmin()
    """,
    test=_test_cheapest_setting,
)

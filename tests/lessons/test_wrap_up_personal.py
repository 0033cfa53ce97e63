"""The wrap-up after notebook 06."""

import copy
import itertools

import numpy as np
import pandas as pd
import torch
from flwr.app import Context, MetricRecord, RecordDict
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers.lessons.wrap_up_personal import exercises, experiments, figures

MODEL = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))  # 15 and 8 numbers
SHOPS = pd.DataFrame(
    {
        "images": [10, 20, 30, 40, 50],
        "validation": [10, 10, 10, 10, 20],
        "alone": [0.9, 0.8, 0.7, 0.6, 0.9],
        "FedAvg": [0.8, 0.8, 0.8, 0.7, 0.7],
        "fine-tuning": [0.8, 0.8, 0.8, 0.7, 0.8],
        "Ditto": [0.85, 0.85, 0.85, 0.7, 0.95],
    }
)
VALIDATION = pd.DataFrame({0.1: [0.9, 0.5], 0.3: [0.4, 0.8], 1.0: [0.5, 0.6]})
IMAGES = pd.Series([10, 30])


def compared(spread, mean=lambda d: d.mean(), ahead=lambda d: (d > 1e-9).sum()):
    """An answer to `seed_by_seed` that does one thing otherwise."""

    def answer(first, second):
        differences = np.subtract(first, second)
        return mean(differences), spread(np.array(first), np.array(second), differences), ahead(differences)

    return answer


def error(first, second, differences):
    return differences.std(ddof=1) / len(differences) ** 0.5


def chosen_by(choice, judge=lambda validation, test: test):
    """An answer to `experiment_a` that chooses or judges otherwise."""

    def answer(validation, test):
        judged = judge(validation, test)
        return np.mean([row[model] for row, model in zip(judged, choice(validation, test), strict=True)])

    return answer


def counting(read, write):
    """An answer to `experiment_b` that reads or writes otherwise."""

    def answer(context):
        rounds = read(context) + 1
        write(context, rounds)
        return rounds

    return answer


def seen(context):
    return context.state["seen"]["rounds"] if "seen" in context.state else 0


def write_into_copy(context, rounds):
    dict(context.state)["seen"] = MetricRecord({"rounds": rounds})


def write_over_all(context, rounds):
    context.state = RecordDict({"seen": MetricRecord({"rounds": rounds})})


def write(context, rounds):
    context.state["seen"] = MetricRecord({"rounds": rounds})


def adapting(of, returned):
    """An answer to `after_adapting` that trains or measures another model."""

    def answer(model, train, measure):
        own = of(model)
        train(own)
        return measure(returned(model, own))

    return answer


_CALLS = itertools.count(1)
_ROUNDS = {"asked": 0}


def a_global_count(context):
    _ROUNDS["asked"] = _ROUNDS["asked"] % 4 + 1  # 1, 2, 3 of the first client, then 4
    return _ROUNDS["asked"]


class TestWrapUpPersonal(LessonTests):
    lesson = Lesson(
        notebook="w3_wrap_up_personal",
        small={"num_clients": 3, "num_images": 200, "num_rounds": 2, "batch_size": 100},
        metrics={"alone_accuracy_per_client", "ditto_accuracy_per_client", "report_of_guesses"},
        bad=[
            ({"num_clients": 2}, "num_clients must be >= 3, got 2"),
            ({"num_images": 100}, "num_images must be >= 150, got 100"),
            ({"alpha": -1.0}, "alpha must be > 0, got -1.0"),
            ({"num_clients": 40, "num_images": 150}, "num_clients"),
        ],
        given={
            "numbers_sent": {"model": MODEL},
            "better_alone": {"shops": SHOPS},
            "best_lambda": {"validation": VALIDATION, "images": IMAGES},
        },
        names={
            "np": np, "torch": torch, "copy": copy, "model": MODEL, "shops": SHOPS, "validation": VALIDATION,
            "images": IMAGES, "Context": Context, "MetricRecord": MetricRecord,
        },
        wrong={
            "numbers_sent": [
                (23, "That is the whole model"),
                (8, "what stays at home"),
                (17, "The bias of the last layer"),
                (60, "Those are the bytes"),
                (30, "there and back"),
                (1, "1 is not it"),
            ],
            "seed_by_seed": [
                (compared(error, mean=lambda d: -d.mean()), "The sign is the wrong way round"),
                (compared(lambda first, second, d: d.std(ddof=1)), "That is the standard deviation"),
                (compared(lambda first, second, d: d.std() / 2), "by n - 1"),
                (compared(lambda first, second, d: np.hypot(first.std(ddof=1), second.std(ddof=1)) / 2),
                 "Take the differences first"),
                (compared(error, ahead=lambda d: (d > -1e-9).sum()), "Nobody is ahead there"),
                (lambda first, second: 0.02, "must return three numbers"),
            ],
            "better_alone": [
                (1, "That is against Ditto"),
                (3, "Those are the shops for which the federation is better"),
                (5, "5 is not it"),
            ],
            "after_adapting": [
                (adapting(lambda model: model, lambda model, own: own), "has changed"),
                (adapting(copy.deepcopy, lambda model, own: model), "before adapting"),
                (lambda model, train, measure: 0.5, "and yours says 0.5"),
                (lambda model, train, measure: 0.3 if next(_CALLS) % 2 else 0.4, "Called again"),
            ],
            "best_lambda": [
                (0.3, "must be two numbers"),
                ((0.3, ...), "must be two numbers"),
                ((0.1, 24), "With λ = 0.1 24 of 40 images are right, and with another 28"),
                ((1.0, 23), "With λ = 1 23 of 40"),
                ((0.2, 28), "must be one of 0.1, 0.3, 1"),
                ((0.3, 24), "as if every shop had equally many images"),
                ((0.3, 0.7), "That is a share"),
                ((0.3, 27), "27 is not how many"),
            ],
            "experiment_a": [
                (chosen_by(lambda validation, test: test.argmax(axis=1)), "test images chose them"),
                (chosen_by(lambda validation, test: validation.argmax(axis=1), judge=lambda v, t: v),
                 "validation images chose them, and judge them"),
                (chosen_by(lambda validation, test: [validation.mean(axis=0).argmax()] * len(test)),
                 "best for *it*"),
                (chosen_by(lambda validation, test: validation.argmin(axis=1)), "and yours says 0.35"),
            ],
            "experiment_b": [
                (counting(seen, write_into_copy), "write into context.state itself"),
                (a_global_count, "every client has its own state"),
                (counting(seen, write_over_all), "is gone from its state"),
                (lambda context: 7, "must say 1, 2, 3"),
            ],
        },
        in_browser=Typed(
            exercise="better_alone", wrong="999", sentence="999 is not it",
            right='int((shops["alone"] > shops["FedAvg"]).sum())',
        ),
    )  # fmt: skip


def test_every_shop_is_drawn_with_four_models():
    drawing = figures.accuracy_of_every_shop(SHOPS)
    (axis,) = drawing.figure.axes
    assert [line.get_ydata().round(6).tolist() for line in axis.lines[:1]] == [[90, 80, 70, 60, 90]]
    assert "alone 78 %, FedAvg 76 %, fine-tuning 78 %, Ditto 84 %" in drawing.alt


def test_reports_are_drawn_by_the_number_of_models():
    drawing = figures.report_by_candidates([1, 10], [0.5, 0.62])
    (axis,) = drawing.figure.axes
    assert axis.lines[0].get_ydata().tolist() == [50, 62]
    assert "1 50 %, 10 62 %" in drawing.alt


def test_experiment_a_lets_choose_what_judges():
    validation, test = np.array([[0.9, 0.6]]), np.array([[0.8, 0.9]])
    assert experiments.report_a(validation, test) == 0.9
    assert exercises.reported(validation, test) == 0.8


def test_shops_that_are_ahead_by_one_image_are_counted():
    verdict = exercises.better_alone.check(2, shops=SHOPS)
    assert "2 of 5 shops look better off alone, 1 of them by one image" in verdict.message


def test_the_best_lambdas_lead_is_said_in_images():
    verdict = exercises.best_lambda.check((0.3, 28), validation=VALIDATION, images=IMAGES)
    assert "λ = 0.3: 28, λ = 1: 23. The best is ahead of the second by 4" in verdict.message

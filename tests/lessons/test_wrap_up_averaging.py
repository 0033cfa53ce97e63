"""The wrap-up after notebook 02."""

import numpy as np
import pandas as pd
import pytest
import torch
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers.lessons.wrap_up_averaging import exercises, figures

SIZES = [60, 20, 320]
SHOPS = pd.DataFrame({"images": [20, 60, 320], "alone": [0.5, 0.6, 0.75], "federated": [0.8, 0.8, 0.8]})
GAINS = SHOPS["federated"] - SHOPS["alone"]
REPLIES = pd.DataFrame(
    {
        "training images": [10, 30, 60],
        "train_loss": [0.9, 0.6, 0.3],
        "validation images": [5, 5, 30],
        "evaluate_loss": [1.2, 1.0, 0.8],
        "evaluate_accuracy": [0.55, 0.65, 0.75],
    }
)
LOG = pd.DataFrame({"train_loss": [2.0, 0.6], "evaluate_loss": [2.1, 0.875], "evaluate_accuracy": [0.2, 0.7125]})


def mean_over(images, name):
    return float((REPLIES[images] * REPLIES[name]).sum() / REPLIES[images].sum())


def correlation(first, second):
    return float(np.corrcoef(first, second)[0, 1])


def averaging(weights_of, nobody=None):
    """An answer to `present` that weighs models otherwise."""

    def answer(states, examples):
        there = [(state, count) for state, count in zip(states, examples, strict=True) if state is not None]
        if not there:
            return {} if nobody is None else nobody
        weights = weights_of([count for _, count in there], examples)
        return {
            name: sum(weight * state[name] for weight, (state, _) in zip(weights, there, strict=True))
            for name in there[0][0]
        }

    return answer


def copies_parameters(source, target):
    with torch.no_grad():
        for new, old in zip(target.parameters(), source.parameters(), strict=True):
            new.copy_(old)
    return target


def copies_buffers(source, target):
    for new, old in zip(target.buffers(), source.buffers(), strict=True):
        new.copy_(old)
    return target


def shares_tensors(source, target):
    target.load_state_dict(source.state_dict(), assign=True)
    return target


def backwards(source, target):
    source.load_state_dict(target.state_dict())
    return target


class TestWrapUpAveraging(LessonTests):
    lesson = Lesson(
        notebook="w1_wrap_up_averaging",
        small={"num_clients": 3, "num_images": 300, "num_rounds": 2, "batch_size": 100},
        metrics={"alone_test_accuracy_per_client", "federated_test_accuracy_per_round", "loss_pooled"},
        bad=[
            ({"num_clients": 2}, "num_clients must be >= 3, got 2"),
            ({"num_images": 10}, "num_images must be >= 100, got 10"),
            ({"learning_rate": 0}, "learning_rate must be > 0, got 0"),
            ({"dataset": "clothes"}, "dataset must be 'fashion', 'cifar10'"),
            ({"num_clients": 90, "num_images": 100}, "num_clients=90 leaves a client with"),
        ],
        given={
            "largest_share": {"sizes": SIZES},
            "size_and_gain": {"shops": SHOPS},
            "reported_loss": {"log": LOG, "replies": REPLIES},
        },
        names={"np": np, "torch": torch, "sizes": SIZES, "shops": SHOPS, "pd": pd},
        wrong={
            "largest_share": [
                (1 / 3, "if every shop counted the same"),
                (80, "80 is above 1"),
                (0.05, "That is the smallest shop"),
                (0.5, "0.5 is off by more than 0.1"),
                ("0.8", "must be a number"),
            ],
            "present": [
                (averaging(lambda there, _: [1 / len(there)] * len(there)), "weigh by examples"),
                (averaging(lambda there, all_of_them: [n / sum(all_of_them) for n in there]), "must add up to 1"),
                (averaging(lambda there, _: [n / sum(there) for n in there], nobody="none"), "Return an empty dict"),
                (lambda states, examples: states[0]["weight"], "must be a dict with the same names"),
                (averaging(lambda there, _: [1] * len(there)), "average to 1.5"),
            ],
            "size_and_gain": [
                (-correlation(np.log(SHOPS["images"]), GAINS), "The sign is the wrong way round"),
                (correlation(SHOPS["images"], GAINS), "np.log"),
                (0.1, "0.1 is not it"),
            ],
            "stay_above": [
                (lambda curve, line: next(n for n, value in enumerate(curve, 1) if value > line), "it does not stay"),
                (lambda curve, line: 3, "Rounds are counted from 1"),
                (lambda curve, line: 4, "A curve that is above from the start"),
                (lambda curve, line: 5, "from round 4 on, and yours says 5"),
            ],
            "budget": [
                (lambda mb, size, clients, share: mb // (2 * size * int(clients * share)), "That is training alone"),
                (lambda mb, size, clients, share: mb // (size * 3 * clients), "Only a share of them does"),
                (lambda mb, size, clients, share: mb // (size * 4 * clients), "as if all clients trained"),
                (lambda mb, size, clients, share: mb / (size * (2 * clients * share + clients)), "round down"),
                (lambda mb, size, clients, share: 6, "30 MB pay exactly one round"),
                (lambda mb, size, clients, share: mb // (size * (2 * clients * share + clients)), "so two train"),
            ],
            "reported_loss": [
                (0.6, "over images, or over shops?"),
                (mean_over("validation images", "evaluate_loss"), "evaluate_loss in the log is the same: it is right"),
                (mean_over("validation images", "evaluate_accuracy"), "evaluate_accuracy in the log is the same"),
                (1.0, "the mean of evaluate_loss over the shops"),
                (mean_over("validation images", "train_loss"), "You weighed them by validation images"),
                (45.0, "45 is none of the means"),
                ("train_loss", "must be a number"),
            ],
            "whole_model": [
                (copies_parameters, "They are buffers"),
                (copies_buffers, "some parameters of the two models differ"),
                (shares_tensors, "both hold the same tensors"),
                (backwards, "source has changed"),
                (lambda source, target: source, "it returned source"),
            ],
        },
        in_browser=Typed(
            exercise="largest_share", wrong="1 / num_clients", sentence="every shop counted the same",
            right="max(sizes) / sum(sizes)",
        ),
    )  # fmt: skip


LESSON = TestWrapUpAveraging.lesson


def test_equal_gains_have_no_correlation():
    shops = SHOPS.assign(alone=0.5, federated=0.6)
    assert exercises.size_and_gain.check(float("nan"), shops=shops).status == "correct"
    assert exercises.size_and_gain.check(0.5, shops=shops).status == "not yet"


def test_every_shop_is_drawn_alone_and_in_the_federation():
    drawing = figures.gain_of_each_shop(SHOPS, 0.85)
    (axis,) = drawing.figure.axes
    alone, federated, centralized = axis.lines
    assert alone.get_xdata().tolist() == [20, 60, 320]
    assert list(federated.get_ydata()) == [80.0, 80.0]
    assert list(centralized.get_ydata()) == [85.0, 85.0]
    assert "20 images +30.0, 60 images +20.0, 320 images +5.0" in drawing.alt


def test_the_rounds_above_the_lines_are_told():
    drawing = figures.curve_and_lines([0.5, 0.75, 0.625, 0.875], 0.625, 0.9)
    (axis,) = drawing.figure.axes
    assert axis.lines[0].get_xdata().tolist() == [1, 2, 3, 4]
    assert [set(line.get_ydata()) for line in axis.lines[1:]] == [{62.5}, {90.0}]
    assert "Above the best of the shops alone, 62.5%, in 2 of them: 2, 4." in drawing.alt
    assert drawing.alt.endswith("Above centralized, 90.0%, in 0 of them: none.")


@pytest.mark.parametrize(("rounds", "drawn"), [(3, [2, 3]), (1, [1])])
def test_both_losses_are_drawn_from_round_two_if_there_is_one(rounds, drawn):
    drawing = figures.two_losses(np.array([0.5, 0.9, 0.5][-rounds:]), np.array([0.6, 0.8, 0.6][-rounds:]))
    (axis,) = drawing.figure.axes
    assert [line.get_xdata().tolist() for line in axis.lines] == [drawn, drawn]
    assert "the log says 0.50" in drawing.alt and "it is 0.60" in drawing.alt


def test_one_number_of_the_log_is_wrong():
    line = LESSON.run_cells("hunt-summary-log")["line_of_log"](REPLIES)
    assert line == pytest.approx(LOG.iloc[-1].to_dict())
    assert line["train_loss"] != pytest.approx(mean_over("training images", "train_loss"))

"""The wrap-up after notebook 04."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers.lessons.wrap_up_differences import figures

DEVICES = pd.DataFrame(
    {"steps": [10, 10, 4], "seconds_per_step": [0.5, 1.0, 0.1], "seconds_one_way": [1.0, 2.0, 0.3]}
)  # 7, 14 and 1 seconds
SHOPS = pd.DataFrame(
    {
        "images at home": [50, 40, 60, 50],
        "alone, at home": [0.9, 0.8, 0.7, 0.85],
        "federated, at home": [0.7, 0.5, 0.45, 0.8],
        "alone, all classes": [0.6, 0.5, 0.4, 0.2],
    }
)  # at home they lose 0.2, 0.3, 0.25 and 0.05


def mixtures(p, q):
    return np.array(p) / sum(p), np.array(q) / sum(q)


def ended(has_ended, of=lambda values: values[-1], nothing=0.0):
    """An answer to `at_a_moment` that looks at other rounds."""

    def answer(ends, values, moment):
        chosen = [value for end, value in zip(ends, values, strict=True) if has_ended(end, moment)]
        return of(chosen) if chosen else nothing

    return answer


def silenced(select):
    """An answer to `silenced` that chooses classes otherwise."""

    def answer(counts, in_time, share):
        table = np.array(counts)
        return np.flatnonzero(select(table[in_time].sum(axis=0), table.sum(axis=0), share)).tolist()

    return answer


def pulled(received_of, factor=0.5):
    """An answer to `no_pull` that remembers something else, or pulls otherwise."""

    def answer(model, batches, loss_of, rate, mu):
        received = received_of(model)
        for batch in batches:
            pairs = zip(model.parameters(), received, strict=True)
            loss = loss_of(model, batch) + mu * factor * sum(((new - old) ** 2).sum() for new, old in pairs)
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                    parameter -= rate * gradient
        return model

    return answer


def copies(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def measured(of_together, of_own, sign=1):
    """An answer to `other_images` that measures elsewhere; each is called with (home, test)."""

    def answer(accuracy, alone, together, homes, test):
        return [
            sign * (accuracy(together, of_together(home, test)) - accuracy(own, of_own(home, test)))
            for own, home in zip(alone, homes, strict=True)
        ]

    return answer


def at_home(home, test):
    return home


def on_test(home, test):
    return test


class TestWrapUpDifferences(LessonTests):
    lesson = Lesson(
        notebook="w2_wrap_up_differences",
        small={"num_clients": 4, "num_images": 300, "num_rounds": 2, "num_seeds": 2, "batch_size": 100},
        metrics={"seconds_of_a_round_that_waits", "accuracy_waiting_for_all", "alone_at_home_per_client"},
        bad=[
            ({"num_clients": 3}, "num_clients must be >= 4, got 3"),
            ({"num_images": 100}, "num_images must be >= 200, got 100"),
            ({"alpha": 0.0}, "alpha must be > 0, got 0.0"),
            ({"num_clients": 50, "num_images": 200}, "num_clients"),
        ],
        given={"round_seconds": {"devices": DEVICES}, "loses_most": {"shops": SHOPS}},
        names={"np": np, "torch": torch, "devices": DEVICES, "shops": SHOPS},
        wrong={
            "round_seconds": [
                (12, "The model travels twice"),
                (10, "there and back"),
                (22 / 3, "That is the mean"),
                (1, "That is the fastest"),
                (22, "at the same time"),
                (13, "13 is not it"),
            ],
            "at_a_moment": [
                (lambda ends, values, moment: np.interp(moment, ends, values), "do not draw a line"),
                (ended(lambda ends, moment: ends <= moment, of=max), "not the best"),
                (ended(lambda ends, moment: ends < moment), "has ended at 20 s"),
                (ended(lambda ends, moment: ends <= moment, nothing=0.3), "it is 0, by agreement"),
            ],
            "two_clients": [
                (lambda p, q: np.abs(np.array(p) - np.array(q)).sum() / 2, "Divide each by its own total"),
                (lambda p, q: np.abs(np.subtract(*mixtures(p, q))).sum(), "Half the sum"),
                (lambda p, q: np.abs(np.subtract(*mixtures(p, q))).max(), "six of ten images"),
                (lambda p, q: float(p != q), "5 and 5 images is the same mixture"),
            ],
            "loses_most": [
                (0, "whose own model is best at home"),
                (2, "the federated model is worst at home"),
                (3, "on all classes"),
                (7, "must be the number of a shop, 0 to 3"),
            ],
            "silenced": [
                (silenced(lambda heard, total, share: ~(heard >= share * np.maximum(total, 1))), "leave out classes"),
                (silenced(lambda heard, total, share: (total > 0) & (heard >= share * total)), "Which are nearly lost"),
                (silenced(lambda heard, total, share: (total > 0) & (heard == 0)), "less than a fifth"),
                (silenced(lambda heard, total, share: (total > 0) & (heard <= share * total)), "A tenth is not less"),
                (
                    silenced(lambda heard, total, share: (total > 0) & (heard < share * total.sum())),
                    "of the images of class 2 they hold 10 of 100",
                ),
                (lambda counts, in_time, share: 0.5, "must be a list of class numbers"),
            ],
            "no_pull": [
                (pulled(lambda model: list(model.parameters())), "Does `received` move with the model?"),
                (pulled(copies, factor=1.0), "twice as strong"),
                (pulled(lambda model: [torch.zeros_like(p) for p in model.parameters()]), "towards zero"),
                (lambda model, *others: pulled(copies)(copy.deepcopy(model), *others), "must train the model"),
                (lambda model, *others: 0.5, "must return the model"),
                (pulled(copies, factor=0.25), "and mu = 2 two steps lead to 1.34"),
            ],
            "other_images": [
                (measured(on_test, at_home), "A model compared with itself must gain 0"),
                (measured(on_test, on_test), "on all classes. Asked is the one at home"),
                (measured(at_home, at_home, sign=-1), "wrong way round"),
                (measured(at_home, on_test), "At home they have"),
                (lambda accuracy, *others: accuracy("home 0", "own 0"), "in this order"),
                (lambda *others: 0.5, "must be a list of gains"),
            ],
        },
        in_browser=Typed(
            exercise="loses_most", wrong="999", sentence="must be the number of a shop",
            right='(shops["alone, at home"] - shops["federated, at home"]).idxmax()',
        ),
    )  # fmt: skip


def test_rules_are_drawn_over_time():
    curves = {
        "wait for all": [
            (np.array([10.0, 20.0]), np.array([0.4, 0.6])),
            (np.array([10.0, 20.0]), np.array([0.2, 0.4])),
        ],
        "the faster half": [(np.array([5.0]), np.array([0.5])), (np.array([5.0]), np.array([0.3]))],
    }
    drawing = figures.by_the_clock(curves, 20.0, lines={"local only": 0.4, "centralized": 0.8})
    (axis,) = drawing.figure.axes
    drawn = {line.get_label(): line for line in axis.lines}
    assert drawn["wait for all, last quarter: 30.0%"].get_ydata().tolist() == pytest.approx([0.3, 0.5])
    assert {"local only: 40%", "centralized: 80%", "the faster half, last quarter: 40.0%"} <= set(drawn)
    assert drawing.alt == (
        "Accuracy of the server's model over 20 simulated seconds. Mean over the last quarter: wait for all 30.0%, "
        "the faster half 40.0%. Reference lines: local only 40.0%, centralized 80.0%."
    )


def test_changes_are_drawn_over_the_share_that_is_held():
    change = np.array([[-0.2, 0.1], [-0.4, 0.0]])
    drawing = figures.change_by_share(np.array([0.5, 0.1]), change, ["cat", "dog"], threshold=0.25)
    (axis,) = drawing.figure.axes
    assert [text.get_text() for text in axis.get_yticklabels()] == ["dog, 10% held", "cat, 50% held"], "by share"
    borders = [line.get_ydata()[0] for line in axis.lines if str(line.get_label()).startswith("above:")]
    assert borders == [0.5], "between the two"
    assert drawing.alt == (
        "The faster half minus waiting, accuracy on each class in points, by the share that is held: dog (10%) +5.0, "
        "cat (50%) -30.0."
    )


def test_a_loss_within_one_image_of_the_largest_is_accepted():
    check = TestWrapUpDifferences.lesson.exercises["loses_most"].check
    near = SHOPS.assign(
        **{"federated, at home": [0.7, 0.5, 0.41, 0.8]}
    )  # 0.29: 0.01 less than shop 1, an image is 0.017
    for shop, other in ((1, 2), (2, 1)):
        verdict = check(shop, shops=near)
        assert verdict.status == "correct" and f"the same as at shop {other}" in verdict.message
    assert "the same as" not in check(1, shops=SHOPS).message


def test_pairs_are_drawn_over_their_distance():
    distances = np.array([[0.0, 0.2, 0.9], [0.2, 0.0, 0.5], [0.9, 0.5, 0.0]])
    accuracies = np.array([[0.9, 0.8, 0.1], [0.8, 0.9, 0.5], [0.1, 0.5, 0.9]])
    assert figures.nearest(distances) == (0, 1)
    assert figures.furthest(distances) == (0, 2)
    drawing = figures.by_distance(distances, accuracies)
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()][2:] == [
        "nearest pair: shops 0 and 1",
        "furthest pair: shops 0 and 2",
    ]
    assert "at home 90.0% on average, on other shops' images 46.7%" in drawing.alt


def test_the_class_counts_say_how_many_are_missing():
    drawing = figures.class_counts(np.array([[3, 0], [0, 2]]), ["cat", "dog"])
    assert drawing.figure.axes[0].get_ylabel() == "shop"
    assert "of 4 pairs 2 are empty" in drawing.alt

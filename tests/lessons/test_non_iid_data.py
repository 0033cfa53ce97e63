"""The lesson of notebook 04."""

import re

import numpy as np
import pandas as pd
import pytest
from in_browser import cell, press
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers import plots
from fedlearn_helpers.lessons.non_iid_data import figures


def distance_at(alpha):
    return 0.8 / (1 + alpha)


def dealing(choose):
    """An answer to `shard_split` that makes its parts of the shards, and a generator, in another way."""

    def answer(labels, num_clients, shards_each, seed):
        shards = np.array_split(np.argsort(labels, kind="stable"), num_clients * shards_each)
        return choose(shards, np.random.default_rng(seed), num_clients, shards_each)

    return answer


def in_order(shards, order, clients):
    return [np.concatenate([shards[i] for i in dealt]) for dealt in np.split(order, clients)]


class TestNonIIDData(LessonTests):
    lesson = Lesson(
        notebook="04_non_iid_data",
        small={"num_clients": 6, "num_rounds": 1, "max_images": 500},
        metrics={
            "fedavg_test_accuracy",
            "fedavg_client_accuracy_mean",
            "fedavg_client_accuracy_worst",
            "local_only_test_accuracy",
            "local_only_client_accuracy_mean",
            "centralized_test_accuracy",
            "heterogeneity_total_variation",
            "heterogeneity_jensen_shannon",
        },
        bad=[
            ({"alpha": 0}, "alpha must be > 0, got 0"),
            ({"partition": "even"}, "partition must be 'iid', 'dirichlet', 'pathological'"),
            (
                {"partition": "pathological", "classes_per_client": 11},
                "classes_per_client must be between 1 and the 10 classes of the data, got 11",
            ),
            ({"num_clients": 2000}, "num_clients must be <= 1000, since each client needs min_size=10"),
        ],
        wrong={
            "two_classes_distance": [
                (0.2, "what the client has in common with all clients"),
                (1.6, "Total variation is half of it"),
                (0.4, "halve nothing"),
                (0.9, "a client with one class"),
                (1, "nothing in common"),
                (0.5, "0.5 is not it"),
                ("far", "must be a number, and it is 'far'"),
            ],
            "shard_split": [
                (
                    lambda labels, clients, each, seed: np.array_split(
                        np.random.default_rng(seed).permutation(len(labels)), clients
                    ),
                    "Sort the examples by class",
                ),
                (
                    dealing(lambda shards, rng, clients, each: in_order(shards, np.arange(len(shards)), clients)),
                    "Shuffle the shards, then deal",
                ),
                (
                    dealing(
                        lambda shards, rng, clients, each: in_order(
                            shards, rng.choice(len(shards), clients * each), clients
                        )
                    ),
                    "dealt twice",
                ),
                (
                    dealing(
                        lambda shards, rng, clients, each: in_order(
                            shards, np.random.default_rng(0).permutation(len(shards)), clients
                        )
                    ),
                    "Seeds 0 to 3 give the same deal",
                ),
                (
                    dealing(
                        lambda shards, rng, clients, each: [shards[i] for i in rng.permutation(len(shards))[:clients]]
                    ),
                    "All 120 examples must be dealt, and 60 are",
                ),
                (dealing(lambda shards, *_: shards), "a list of six arrays, and it returned 12 parts"),
                (
                    dealing(lambda shards, rng, clients, each: [shards[2 * i : 2 * i + 2] for i in range(clients)]),
                    "np.concatenate joins its shards",
                ),
                (lambda labels, clients, each, seed: list(np.split(np.sort(labels), clients)), "These are labels"),
                (
                    lambda labels, clients, each, seed: np.split(
                        np.argsort(labels, kind="stable"), [10, 40, 60, 80, 100]
                    ),
                    "six clients get 20 each",
                ),
            ],
            "half_way": [
                (0.05, "still too different"),
                (50, "already too alike"),
                (0, "from 0.05 to 100, and it is 0"),
                ("1", "must be a number, and it is '1'"),
            ],
        },
        given={"half_way": {"mean_distance": distance_at}},
        names={"np": np},
        in_browser=Typed("two_classes_distance", wrong="1.6", sentence="Total variation is half", right="0.8"),
    )


# Figures


def test_partition_maps_share_one_scale():
    maps = {"even": np.array([[5, 5], [5, 5]]), "skewed": np.array([[10, 0], [0, 10]])}
    drawing = figures.who_holds_what(maps, ["cat", "dog"])
    even, skewed = drawing.figure.axes
    assert [axis.get_title() for axis in (even, skewed)] == ["even", "skewed"]
    areas = [axis.collections[0].get_sizes() for axis in (even, skewed)]
    assert len(areas[0]) == 4 and len(areas[1]) == 2  # nothing is drawn where there is nothing
    assert areas[1] == pytest.approx(2 * areas[0][:2])
    assert drawing.alt == (
        "Maps of 2 clients by 2 classes under 2 rules. even: 2 to 2 classes a client; skewed: 1 to 1 classes a client."
    )


def test_images_of_each_class_are_counted_in_words_too():
    drawing = figures.images_of_each_class(np.array([[5, 0], [7, 3]]), ["cat", "dog"], "dirichlet")
    assert sorted(text.get_text() for text in drawing.figure.axes[0].texts) == ["3", "5", "7"]
    assert drawing.alt == (
        "Images of each class at the 2 clients of this notebook's partition, dirichlet: a client has 1 to 2 classes "
        "and 5 to 10 images."
    )


def test_distances_are_means_over_seeds():
    drawing = figures.distance_by_alpha([0.05, 100], np.array([[0.8, 0.1], [0.6, 0.3]]), np.array([[0.5, 0.0]] * 2))
    (axis,) = drawing.figure.axes
    assert axis.lines[0].get_ydata().tolist() == pytest.approx([0.7, 0.2])
    assert axis.get_xscale() == "log"
    assert drawing.alt == (
        "Distance against alpha. Total variation falls from 0.70 at alpha 0.05 to 0.20 at alpha 100; "
        "Jensen-Shannon from 0.50 to 0.00."
    )


def test_the_federated_curve_lies_between_its_reference_lines():
    drawing = figures.accuracy_by_round([0.1, 0.4, 0.5], local_epochs=2, local_only=0.3, centralized=0.6)
    (axis,) = drawing.figure.axes
    assert [line.get_label() for line in axis.lines] == ["federated", "local only: 30.0%", "centralized: 60.0%"]
    assert axis.get_xlabel() == "round (2 local epochs per round)"
    assert drawing.alt == (
        "Test accuracy by round: 10.0% before training, 50.0% after round 2. "
        "Reference lines: local only 30.0%, centralized 60.0%."
    )


def test_clients_that_do_better_alone_are_counted():
    on_own = {
        "local only": np.array([0.9, 0.5]),
        "federated": np.array([0.4, 0.6]),
        "centralized": np.array([0.7, 0.7]),
    }
    assert figures.accuracy_of_clients(on_own).alt == (
        "Accuracy of every client on its own validation images: 1 of 2 clients do better with their own model than "
        "with the federated one. Means: local only 70.0%, federated 50.0%, centralized 70.0%. The federated model is "
        "worst at client 0, with 40.0%."
    )


def test_accuracy_by_distance_has_a_mark_for_every_seed():
    ways = ("local only", "centralized", "fedavg")
    rows = [
        {"algorithm": way, "scenario": rule, "seed": seed, "heterogeneity": x + seed / 100, "test_accuracy": 0.5}
        for way in ways
        for rule, x in (("iid", 0.1), ("pathological:1", 0.9))
        for seed in (0, 1)
    ]
    drawing = figures.accuracy_by_distance(pd.DataFrame(rows))
    (axis,) = drawing.figure.axes
    marks = [line for line in axis.lines if line.get_linestyle() == "None"]
    assert [len(line.get_xdata()) for line in marks] == [4, 4, 4]
    assert {line.get_color() for line in marks} == {style["color"] for style in plots.STYLES.values()}
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["local only", "centralized", "federated"]
    assert {text.get_text() for text in axis.texts} == {"iid", "pathological:1"}
    assert drawing.alt == (
        "Test accuracy against the clients' total variation distance, 2 seeds a partition. "
        "FedAvg's mean: iid 50.0%, pathological:1 50.0%."
    )


def test_skews_are_rows_in_their_order():
    table = pd.DataFrame(
        {
            "skew": ["iid", "noise", "noise"],
            "local only": [0.1, 0.2, 0.3],
            "fedavg": [0.4, 0.5, 0.6],
            "centralized": [0.7, 0.8, 0.9],
        }
    )
    drawing = figures.accuracy_by_skew(table)
    (axis,) = drawing.figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["iid", "noise"]
    assert [line.get_ydata().tolist() for line in axis.lines] == [[0, 1, 1]] * 3
    assert [line.get_label() for line in axis.lines] == ["local only", "federated", "centralized"]
    assert drawing.alt == (
        "Accuracy on the test images under 2 rules, 2 seeds each. Means of FedAvg and of centralized training: "
        "iid 40.0% and 70.0%, noise 55.0% and 85.0%."
    )


def test_cosines_are_written_into_the_cells():
    drawing = figures.directions_of_updates({"a": np.array([[1, -0.04], [-0.04, 1]]), "b": np.eye(2)})
    left, right, bar = drawing.figure.axes
    assert [text.get_text() for text in left.texts] == ["1.0", "0.0", "0.0", "1.0"]
    assert (left.get_title(), right.get_title(), bar.get_ylabel()) == ("a", "b", "cosine of the angle")
    assert drawing.alt == (
        "Cosines between the updates of every two clients. Mean: a -0.04; b 0.00. Lowest: -0.04; 0.00."
    )


def test_between_two_models_every_curve_looks_different():
    series = {"A": [1.0, 0.7, 0.5], "B": [0.0, 0.1, 0.5], "all classes": [0.5, 0.4, 0.6]}
    drawing = figures.accuracy_between_models([0, 0.5, 1], {"few": series, "many": series})
    first, second = drawing.figure.axes
    for axis in (first, second):
        looks = {(line.get_marker(), line.get_linestyle()) for line in axis.lines[:3]}
        assert len(looks) == 3
    assert drawing.alt == (
        "Accuracy on the straight line from A's model to B's, in 2 panels. On all classes: few: A's model 50%, "
        "average 40%, B's model 60%; many: A's model 50%, average 40%, B's model 60%."
    )


# The widget


def test_partitions_follow_their_rule_and_its_number(screen):
    labels = np.repeat([0, 1, 2, 3], 25)
    figures.explore_partitions(labels, ["a", "b", "c", "d"], 4, alpha=0.3, seed=0)
    assert screen.alts[-1].startswith("Partition dirichlet with alpha 0.3: total variation distance 0.")
    screen.control("alpha").value = 100.0
    assert screen.alts[-1].startswith("Partition dirichlet with alpha 100: total variation distance 0.0")
    screen.control("rule").value = "pathological"
    screen.control("classes a client").value = 1
    assert screen.alts[-1] == (
        "Partition pathological with 1 class a client: total variation distance 0.75; clients hold 25 to 25 "
        "examples, of 1 to 1 classes."
    )
    screen.control("rule").value = "iid"
    assert screen.alts[-1].startswith("Partition iid: total variation distance")


def test_a_partition_that_cannot_be_made_says_why(screen):
    figures.explore_partitions(np.repeat([0, 1, 2, 3], 25), ["a", "b", "c", "d"], 2, alpha=0.5, seed=0)
    before = len(screen.alts)
    screen.control("rule").value = "pathological"
    screen.control("classes a client").value = 1
    assert "No such partition: num_clients=2 with classes_per_client=1 have room for 2 of 4 classes" in screen.text
    assert len(screen.alts) == before + 1  # two classes each can be made


@pytest.mark.browser
def test_partitions_by_rule_and_alpha(opened, expect):
    page = opened("04_non_iid_data")
    widget = cell(page, "figures.explore_partitions(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("^Partition dirichlet with alpha 0.1:"))
    press(page, widget.locator(".widget-slider", has_text="alpha"), "ArrowRight", 2)
    expect(image).to_have_attribute("alt", re.compile("^Partition dirichlet with alpha 0.5:"))
    widget.get_by_role("button", name="pathological").click()
    expect(image).to_have_attribute("alt", re.compile("^Partition pathological with 2 classes a client:"))

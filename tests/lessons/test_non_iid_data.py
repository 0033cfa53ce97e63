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
        small={"num_clients": 10, "num_rounds": 1, "max_images": 500, "num_seeds": 1},
        metrics={
            "fedavg_test_accuracy",
            "fedavg_client_accuracy_mean",
            "fedavg_client_accuracy_worst",
            "local_only_test_accuracy",
            "local_only_client_accuracy_mean",
            "centralized_test_accuracy",
            "heterogeneity_total_variation",
            "heterogeneity_jensen_shannon",
            "update_cosine_mean",
            "update_cosine_mean_trained_iid",
            "test_accuracy fedavg dirichlet:0.1",
            "own: centralized concept shift",
            "equal_work dirichlet:0.1 10",
            "long_test_accuracy pathological:1",
            "distance concept shift",
            "line_average_minus_worse_end",
        },
        bad=[
            ({"alpha": 0}, "alpha must be > 0, got 0"),
            ({"partition": "even"}, "partition must be 'iid', 'dirichlet', 'pathological'"),
            (
                {"partition": "pathological", "classes_per_client": 11},
                "classes_per_client must be between 1 and the 10 classes of the data, got 11",
            ),
            ({"num_clients": 2000}, "num_clients must be <= 200, since each client needs min_size=10"),
        ],
        wrong={
            "three_classes_distance": [
                (0.3, "what the client has in common with all clients"),
                (1.4, "Total variation is half of it"),
                (0.35, "halve nothing"),
                (0.5, "its most frequent class alone"),
                (0.6, "the share of its most frequent class"),
                (0.8, "two classes, half each"),
                (0.9, "a client with one class"),
                (1, "nothing in common"),
                (0.65, "0.65 is not it"),
                (70, "a share and not percent"),
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
            "twice_chance": [
                (0.05, "still too different"),
                (50, "already too alike"),
                (0, "from 0.05 to 1000, and it is 0"),
                ("1", "must be a number, and it is '1'"),
            ],
        },
        given={"twice_chance": {"mean_distance": distance_at, "goal": 0.2}},
        names={"np": np},
        in_browser=Typed("three_classes_distance", wrong="1.4", sentence="Total variation is half", right="0.7"),
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


def test_circles_have_the_same_size_in_all_figures_of_the_same_images():
    even, skewed = np.full((4, 2), 25), np.array([[100, 0], [0, 100], [0, 0], [0, 0]])
    areas = [
        figures.who_holds_what({"one": counts}, ["cat", "dog"]).figure.axes[0].collections[0].get_sizes()
        for counts in (even, skewed)
    ]
    assert areas[1] == pytest.approx(4 * areas[0][:2])
    drawing = figures.who_holds_what({"one": even}, ["cat", "dog"])
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["100 images"]
    (circle,) = legend.get_lines()
    assert circle.get_markersize() ** 2 == pytest.approx(areas[1][0])


def test_images_of_each_class_are_counted_in_words_too():
    drawing = figures.images_of_each_class(np.array([[5, 0], [7, 3]]), ["cat", "dog"], "dirichlet")
    assert sorted(text.get_text() for text in drawing.figure.axes[0].texts) == ["3", "5", "7"]
    assert drawing.alt == (
        "Images of each class at the 2 clients of this notebook's partition, dirichlet: a client has 1 to 2 classes "
        "and 5 to 10 images."
    )


def test_an_image_is_shown_at_every_client_with_its_name_there():
    images = [np.full((1, 2, 2), shade, dtype=np.uint8) for shade in (0, 100, 200)]
    names = {"noise": ["coat"] * 3, "concept shift": ["coat", "bag", "bag"]}
    drawing = figures.looks_of_clients({"noise": images, "concept shift": images[:1] * 3}, names)
    axes = drawing.figure.axes
    assert [axis.get_title() for axis in axes[3:]] == ["“coat”", "“bag”", "“bag”"]
    assert [axis.get_xlabel() for axis in axes[3:]] == ["first client", "…", "last client"]
    assert drawing.alt == (
        "One image as 3 clients from first to last have it, a row for each of 2 skews. noise: called coat; "
        "concept shift: called coat, bag."
    )


def test_distances_are_means_over_seeds():
    drawing = figures.distance_by_alpha([0.05, 100], np.array([[0.8, 0.1], [0.6, 0.3]]), 0.25)
    (axis,) = drawing.figure.axes
    assert axis.lines[0].get_ydata().tolist() == pytest.approx([0.7, 0.2])
    assert axis.get_xscale() == "log"
    assert drawing.alt == (
        "Total variation distance against alpha, 2 partitions each. The mean falls from 0.70 at alpha 0.05 to 0.20 at "
        "alpha 100. Images dealt at random have 0.25."
    )


def test_the_federated_curve_lies_between_its_reference_lines():
    drawing = figures.accuracy_by_round(
        [0.1, 0.4, 0.5], local_epochs=2, local_only=(0.3, 4), local_only_longer=(0.35, 7.5), centralized=0.6
    )
    (axis,) = drawing.figure.axes
    assert [line.get_label() for line in axis.lines] == [
        "FedAvg",
        "centralized: 60.0%",
        "local only, 4 epochs: 30.0%",
        "local only, until it stops improving (7.5 epochs): 35.0%",
    ]
    assert axis.get_xlabel() == "round (2 local epochs a round)"
    assert drawing.alt == (
        "Test accuracy by round: 10.0% before training, 50.0% after round 2. Reference lines: local only 30.0% "
        "after 4 epochs, 35.0% if clients train until they stop improving, after 7.5 on average; centralized 60.0%."
    )


def test_clients_that_do_better_alone_are_counted():
    on_own = {
        "local only": np.array([0.9, 0.5]),
        "FedAvg": np.array([0.4, 0.6]),
        "centralized": np.array([0.7, 0.7]),
    }
    assert figures.accuracy_of_clients(on_own).alt == (
        "Accuracy of every client on its own validation images: 1 of 2 clients do better with their own model than "
        "with the federated one. Means: local only 70.0%, FedAvg 50.0%, centralized 70.0%. The federated model is "
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
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "local only",
        "centralized, mean of all its runs",
        "FedAvg",
        "one seed",
    ]
    assert {text.get_text() for text in axis.texts} == {"iid", "pathological:1"}
    assert drawing.alt == (
        "Test accuracy against the clients' total variation distance, 2 seeds a partition. "
        "FedAvg's mean: iid 50.0%, pathological:1 50.0%. Centralized: 50.0% to 50.0%, mean 50.0%."
    )


def test_skews_are_rows_in_their_order():
    ways = ("local only", "fedavg", "centralized")
    rows = [("iid", 0.1), ("noise", 0.2), ("noise", 0.4)]
    table = pd.DataFrame(
        [
            {"skew": skew, "seed": number, "distance": 0.1 + number / 10}
            | {f"own: {way}": value for way in ways}
            | {f"test: {way}": value / 2 for way in ways}
            for number, (skew, value) in enumerate(rows)
        ]
    )
    drawing = figures.accuracy_by_skew(table)
    own, test = drawing.figure.axes
    assert [label.get_text() for label in own.get_yticklabels()] == ["iid\ndistance 0.10", "noise\ndistance 0.25"]
    assert own.lines[2].get_ydata().tolist() == [0, 1, 1]  # FedAvg, one mark a seed
    assert own.lines[3].get_xdata().tolist() == pytest.approx([0.1, 0.3])  # its means
    assert test.lines[3].get_xdata().tolist() == pytest.approx([0.05, 0.15])
    assert drawing.alt == (
        "Accuracy under 2 skews, 2 seeds each. Mean on own images, local only, FedAvg and centralized: "
        "iid (distance 0.10) 10%, 10%, 10%; noise (distance 0.25) 30%, 30%, 30%."
    )


@pytest.mark.slow
def test_cosines_of_both_signs_have_colours_of_their_own():
    drawing = figures.directions_of_updates(
        {
            "untrained": {"a": np.array([[1, -0.04], [-0.04, 1]]), "b": np.eye(2)},
            "trained": {"a": np.eye(2), "b": np.eye(2)},
        }
    )
    *panels, bar = drawing.figure.axes
    assert [axis.get_title() for axis in panels] == ["a: mean -0.04", "b: mean 0.00", "a: mean 0.00", "b: mean 0.00"]
    assert panels[0].images[0].get_clim() == (-1, 1)  # 0 is in the middle
    assert bar.get_ylabel() == "cosine of the angle"
    assert drawing.alt == (
        "Cosines between the updates of every two clients, mean over pairs. untrained, a: -0.04, lowest -0.04; "
        "untrained, b: 0.00, lowest 0.00; trained, a: 0.00, lowest 0.00; trained, b: 0.00, lowest 0.00."
    )


def test_federations_are_compared_at_equal_work_and_at_equal_rounds():
    table = pd.DataFrame(
        {"partition": "iid", "epochs": epochs, "seed": seed, "accuracy": accuracy}
        for seed in (0, 1)
        for epochs, accuracy in ((1, [0.1, 0.4, 0.6 + seed / 10]), (2, [0.1, 0.5]))
    )
    drawing = figures.accuracy_by_local_epochs(table)
    work, rounds = drawing.figure.axes
    assert [line.get_xdata().tolist() for line in work.lines] == [[0, 1, 2], [0, 2]]
    assert [line.get_xdata().tolist() for line in rounds.lines[:2]] == [[0, 1, 2], [0, 1]]
    assert rounds.lines[2].get_xdata()[0] == 1  # where all are compared
    assert [line.get_label() for line in work.lines] == ["1 local epoch a round", "2 local epochs a round"]
    assert drawing.alt == (
        "Test accuracy, one curve for each number of local epochs in a round: against epochs of local training above, "
        "against rounds below, where all reach round 1. In the end: iid, 1: 65%; iid, 2: 50%."
    )


def test_between_two_models_every_curve_looks_different():
    series = {"A": [1.0, 0.7, 0.5], "B": [0.0, 0.1, 0.5], "all classes": [0.5, 0.4, 0.6]}
    only_all = {"all classes": series["all classes"]}
    drawing = figures.accuracy_between_models([0, 0.5, 1], {"few": only_all, "many": series})
    first, second = drawing.figure.axes
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["A", "B", "all classes"]
    assert first.lines[0].get_color() == second.lines[2].get_color()
    assert len({(line.get_marker(), line.get_linestyle()) for line in second.lines[:3]}) == 3
    assert drawing.alt == (
        "Accuracy on the straight line from A's model to B's, in 2 panels. On all classes: few: A's model 50%, "
        "average 40%, B's model 60%; many: A's model 50%, average 40%, B's model 60%."
    )


def test_long_federations_are_compared_where_others_stop():
    drawing = figures.accuracy_over_many_rounds(
        {"iid": np.array([0.1, 0.6, 0.7]), "pathological:1": np.array([0.1, 0.3, 0.5])}, 1
    )
    (axis,) = drawing.figure.axes
    assert axis.lines[3].get_ydata()[0] == pytest.approx(0.6)
    assert drawing.alt == (
        "Test accuracy over 2 rounds. After round 1 and at the end: iid 60%, then 70%; pathological:1 30%, then 50%."
    )


# The widgets


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


def test_the_dial_shows_what_a_partition_did(screen):
    runs = pd.DataFrame(
        {"scenario": rule, "algorithm": way, "seed": 0, "heterogeneity": far, "test_accuracy": reached, "own": 0.9}
        for rule, far in (("iid", 0.1), ("pathological:1", 0.9))
        for way, reached in (("local only", 0.3), ("fedavg", 0.7 - far / 10), ("centralized", 0.85 - far / 10))
    )
    maps = {"iid": np.full((2, 2), 5), "pathological:1": np.diag([10, 10])}
    figures.explore_accuracy(maps, ["a", "b"], runs, {"test images": "test_accuracy", "own images": "own"})
    assert screen.alts[-1] == (
        "Partition iid, total variation distance 0.10. Accuracy on test images: local only 30.0%, FedAvg 69.0%, "
        "centralized 84.0%."
    )
    screen.control("partition").value = "pathological:1"
    screen.control("measured on").value = "own images"
    assert screen.alts[-1] == (
        "Partition pathological:1, total variation distance 0.90. Accuracy on own images: local only 90.0%, "
        "FedAvg 90.0%, centralized 90.0%."
    )


def test_mixtures_of_two_models_name_images(screen):
    images, labels = np.full((4, 1, 2, 2), 9, dtype=np.uint8), np.array([0, 1, 0, 1])
    said = {"one start": np.array([[0, 0, 0, 0], [0, 1, 0, 1], [1, 1, 1, 1]]), "two starts": np.ones((3, 4), int)}
    figures.explore_average(images, labels, ["a", "b"], [0.0, 0.5, 1.0], said)
    assert screen.alts[-1] == (
        "4 test images, and what the mixture calls them: one start, share 0.5 of B's model: right on 100% of all 4 "
        "test images."
    )
    screen.control("share of B").value = 1.0
    assert "one start, share 1 of B's model: right on 50% of" in screen.alts[-1]
    screen.control("models").value = "two starts"
    assert "two starts, share 1 of B's model: right on 50% of" in screen.alts[-1]


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

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
            ({"partition": "even"}, "partition must be 'iid', 'dirichlet', 'pathological' or 'quantity'"),
            (
                {"partition": "pathological", "classes_per_client": 11},
                "classes_per_client must be between 1 and the 10 classes of the data, got 11",
            ),
            ({"num_clients": 2000}, "num_clients must be <= 1000, since each client needs min_size=10"),
        ],
        wrong={
            "two_classes_distance": [
                (0.2, "what the client shares with everybody"),
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
    even, skewed = figures.partition_maps(maps, ["cat", "dog"]).axes
    assert [axis.get_title() for axis in (even, skewed)] == ["even", "skewed"]
    areas = [axis.collections[0].get_sizes() for axis in (even, skewed)]
    assert len(areas[0]) == 4 and len(areas[1]) == 2  # nothing is drawn where there is nothing
    assert areas[1] == pytest.approx(2 * areas[0][:2])


def test_accuracy_by_distance_has_a_mark_for_every_seed():
    ways = ("local only", "centralized", "fedavg")
    rows = [
        {"strategy": way, "partition": rule, "heterogeneity": x + seed / 100, "test_accuracy": 0.5}
        for way in ways
        for rule, x in (("iid", 0.1), ("pathological:1", 0.9))
        for seed in (0, 1)
    ]
    figure = figures.accuracy_by_distance(pd.DataFrame(rows))
    (axis,) = figure.axes
    marks = [line for line in axis.lines if line.get_linestyle() == "None"]
    assert [len(line.get_xdata()) for line in marks] == [4, 4, 4]
    assert {line.get_color() for line in marks} == {style["color"] for style in plots.STYLES.values()}
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["local only", "centralized", "federated"]
    assert {text.get_text() for text in axis.texts} == {"iid", "pathological:1"}


def test_rules_are_rows_in_their_order():
    table = pd.DataFrame(
        {
            "partition": ["iid", "noise", "noise"],
            "local only": [0.1, 0.2, 0.3],
            "fedavg": [0.4, 0.5, 0.6],
            "centralized": [0.7, 0.8, 0.9],
        }
    )
    (axis,) = figures.by_rule(table, xlabel="accuracy").axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["iid", "noise"]
    assert [line.get_ydata().tolist() for line in axis.lines] == [[0, 1, 1]] * 3


def test_cosines_are_written_into_the_cells():
    left, right, bar = figures.cosines({"a": np.array([[1, -0.04], [-0.04, 1]]), "b": np.eye(2)}).axes
    assert [text.get_text() for text in left.texts] == ["1.0", "0.0", "0.0", "1.0"]
    assert (left.get_title(), right.get_title(), bar.get_ylabel()) == ("a", "b", "cosine of the angle")


def test_between_two_models_every_curve_looks_different():
    series = {"A": [1.0, 0.5], "B": [0.0, 0.5], "all": [0.5, 0.5]}
    first, second = figures.between_models([0, 1], {"few": series, "many": series}).axes
    for axis in (first, second):
        looks = {(line.get_marker(), line.get_linestyle()) for line in axis.lines[:3]}
        assert len(looks) == 3


# The widget


def test_partitions_follow_their_rule_and_its_number(screen):
    labels = np.repeat([0, 1, 2, 3], 25)
    figures.browse_partitions(labels, ["a", "b", "c", "d"], 4, alpha=0.3, seed=0)
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
    figures.browse_partitions(np.repeat([0, 1, 2, 3], 25), ["a", "b", "c", "d"], 2, alpha=0.5, seed=0)
    before = len(screen.alts)
    screen.control("rule").value = "pathological"
    screen.control("classes a client").value = 1
    assert "No such partition: num_clients=2 with classes_per_client=1 have room for 2 of 4 classes" in screen.text
    assert len(screen.alts) == before + 1  # two classes each can be made


@pytest.mark.browser
def test_partitions_by_rule_and_alpha(opened, expect):
    page = opened("04_non_iid_data")
    widget = cell(page, "figures.browse_partitions(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("^Partition dirichlet with alpha 0.1:"))
    press(page, widget.locator(".widget-slider", has_text="alpha"), "ArrowRight", 2)
    expect(image).to_have_attribute("alt", re.compile("^Partition dirichlet with alpha 0.5:"))
    widget.get_by_role("button", name="pathological").click()
    expect(image).to_have_attribute("alt", re.compile("^Partition pathological with 2 classes a client:"))

"""The lesson of notebook 03."""

import math
import re

import numpy as np
import pytest
import torch
from flwr.app import Error, Message
from in_browser import cell, press
from lesson import Lesson, LessonTests, Typed
from torch.nn import functional as F

from fedlearn_helpers import models, plots, training
from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.availability import device_mod
from fedlearn_helpers.availability.devices import Devices, draw_devices
from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.lessons.clients_that_come_and_go import figures
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.seeds import derive_seed


def smallest_share(seconds):
    """The slowest device takes 14 steps of 1.3 seconds, and the transfers 2."""
    return min(max((seconds - 2) // 1.3, 0), 14) / 14


class TestClientsThatComeAndGo(LessonTests):
    lesson = Lesson(
        notebook="03_clients_that_come_and_go",
        small={"num_clients": 8, "clients_per_round": 4, "num_rounds": 2, "max_images": 400, "num_seeds": 2},
        metrics={
            "wait_test_accuracy",
            "drop_slow_classes_accuracy",
            "partial_fast_classes_accuracy",
            "partial_pull_simulated_seconds",
            "local_only_test_accuracy",
            "centralized_test_accuracy",
            "wait_slow_classes_accuracy_equal_rounds_per_seed",
            "drop_slow_classes_accuracy_alike_per_seed",
            "away_owners_slow_classes_accuracy_per_seed",
            "away_chance_fast_classes_swing_per_seed",
        },
        bad=[
            ({"clients_per_round": 31}, "clients_per_round must be <= num_clients (30), got 31"),
            ({"slow_share": 1.0}, "slow_share must leave at least one fast and one slow device among 30"),
            ({"slow_share": 0.0}, "slow_share must leave at least one fast and one slow device among 30"),
            ({"availability": 0.0}, "availability must be > 0, got 0.0"),
            ({"deadline": 0.0}, "deadline must be > 0, got 0.0"),
            ({"mu": -0.1}, "mu must be >= 0, got -0.1"),
            ({"model": "resnet"}, "model must be 'mlp' or 'cnn', got 'resnet'"),
            ({"num_seeds": 0}, "num_seeds must be >= 1, got 0"),
            ({"num_clients": 3000, "max_images": 4000}, "num_clients=3000 leaves a client with 0; use fewer clients"),
        ],
        wrong={
            "clients_to_ask": [
                (9, "all nine would have to be there, and be fast"),
                (10, "Half of the ten are slow"),
                (18, "one in ten is not there"),
                (4, "how many of nine answer"),
                (15, "multiplied, not added"),
                (100, "100 is not it"),
            ],
            "partial_steps": [
                (lambda steps, step, transfer, limit: limit // step, "has to travel, too"),
                (lambda steps, step, transfer, limit: limit - transfer, "to compute"),
                (lambda steps, step, transfer, limit: (limit - 2 * transfer) // step, "both of them together"),
                (
                    lambda steps, step, transfer, limit: min(round((limit - transfer) / step), steps),
                    "3 whole steps, not 4",
                ),
                (
                    lambda steps, step, transfer, limit: (limit - transfer) * step,
                    "Divide the seconds by the seconds per step",
                ),
                (lambda steps, *_: steps, "A late device stops earlier"),
                (lambda steps, step, transfer, limit: (limit - transfer) / step, "3 whole steps, not 3.75"),
                (lambda steps, step, transfer, limit: (limit - transfer) // step, "asked for 5 steps takes 5"),
                (lambda steps, step, transfer, limit: min((limit - transfer) // step, steps), "there are 0 steps"),
            ],
            "smallest_deadline": [
                (5, "14% of its steps: too few"),
                (9, "One second less is enough"),
                (7.5, "must be a whole number of seconds"),
                ("late", "must be a number, and it is 'late'"),
            ],
        },
        given={"smallest_deadline": {"smallest_share": smallest_share, "budget": 400.0}},
        names={"math": math, "np": np},
        in_browser=Typed("clients_to_ask", wrong="18", sentence="one in ten is not there", right="20"),
    )


# What is shown


@pytest.mark.parametrize("late", ["drop", "partial"])
def test_the_mod_that_is_shown_does_what_the_packages_does(late):
    data = load_dataset("fashion")
    devices = draw_devices(12, slow_share=0.5, slow_factor=10, availability=0.7, seed=1)

    def result_with(make):
        return federate(
            "fedavg",
            data,
            [Shard(np.array([2 * client, 2 * client + 1]), np.array([100])) for client in range(12)],
            num_rounds=2,
            local_config=LocalConfig(local_epochs=7, batch_size=1, learning_rate=0.1),
            mods=[make(devices, [14] * 12, deadline=5.0, late=late)],
            seed=1,
            workers=1,
            model=models.new_mlp(data.image_shape, data.num_classes, 1),
            on_error="reply",
            label=None,
        )

    notebooks, packages = (
        result_with(make)
        for make in (
            TestClientsThatComeAndGo.lesson.run_cells("mod-code", Message=Message, Error=Error)["device_mod"],
            device_mod,
        )
    )
    missing = [list(run.history.failures[["round", "client"]].itertuples()) for run in (notebooks, packages)]
    assert missing[0] == missing[1] and missing[0]
    assert set(notebooks.history.clients["steps"].dropna()) == set(packages.history.clients["steps"].dropna())
    states = [run.model.to_torch_state_dict() for run in (notebooks, packages)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def the_loop(data):
    names = {"torch": torch, "F": F, "training": training, "data": data}
    return TestClientsThatComeAndGo.lesson.run_cells(
        "loop-code", **names, learning_rate=0.1, batch_size=16, local_epochs=2
    )["train_locally"]


@pytest.mark.parametrize("mu", [0.0, 0.5])
def test_the_loop_that_is_shown_is_the_packages_fedprox(mu):
    data, images = load_dataset("fashion"), np.arange(40)
    network = models.new_mlp(data.image_shape, data.num_classes, 5)
    assert the_loop(data)(network, images, derive_seed(5, "train", 1, 0), mu=mu) == 6
    result = federate(
        "fedprox",
        data,
        [Shard(images, np.arange(40, 50))],
        num_rounds=1,
        local_config=LocalConfig(local_epochs=2, batch_size=16, learning_rate=0.1),
        settings={"mu": mu},
        seed=5,
        workers=1,
        model=models.new_mlp(data.image_shape, data.num_classes, 5),
        label=None,
    )
    for name, tensor in result.model.to_torch_state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], tensor, rtol=0, atol=1e-6)


def test_the_loop_that_is_shown_stops_where_it_must():
    data = load_dataset("fashion")
    network = models.new_mlp(data.image_shape, data.num_classes, 5)
    taken = [the_loop(data)(network, np.arange(40), 0, max_steps=steps) for steps in (1, 4, 6, 9)]
    assert taken == [1, 4, 6, 6]


# Figures


# one step takes 0.5, 1 and 2 seconds, and the transfers 2 seconds; the last device is never there
DEVICES = Devices(np.array([0.5, 1.0, 2.0, 1.0]), np.full(4, 2.0), np.array([1.0, 1.0, 1.0, 0.0]), seed=0)


def a_round(**rule):
    return figures.one_round(DEVICES, [0, 1, 2, 3], 1, 8, **rule)


def test_a_round_says_who_is_in_time_and_how_long_it_lasts():
    assert a_round().alt == (
        "4 clients are asked, no deadline: 3 in time, 0 partial work, 0 late, 1 away. "
        "The round lasts 18.0 simulated seconds."
    )
    assert a_round(deadline=7.0).alt == (
        "4 clients are asked, the deadline is after 7.0 seconds: 1 in time, 0 partial work, 2 late, 1 away. "
        "The round lasts 7.0 simulated seconds."
    )
    assert "1 in time, 2 partial work, 0 late, 1 away" in a_round(deadline=7.0, late="partial").alt


def test_a_late_bar_ends_at_the_deadline_which_ends_the_round():
    figure = a_round(deadline=7.0).figure
    (axis,) = figure.axes
    assert [bar.get_width() for bar in axis.patches] == [6.0, 7.0, 7.0]
    texts = [text.get_text().strip() for text in axis.texts]
    assert texts == ["would need 10.0 s", "would need 18.0 s", "away"]
    assert [label.get_text() for label in axis.get_yticklabels()] == [f"client {k}" for k in range(4)]
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["in time", "late: work is lost", "the deadline ends the round: 7.0 s"]


def test_a_deadline_after_the_last_answer_is_another_line_than_the_end():
    (legend,) = figures.one_round(DEVICES, [0, 1], 1, 8, deadline=12.0).figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["in time", "the last answer ends the round: 10.0 s", "deadline: 12.0 s"]


def test_kinds_of_answers_differ_in_greyscale_too():
    assert len({look.get("hatch") for look in figures._LOOKS.values()}) == len(figures._LOOKS)


def test_a_round_with_an_impossible_deadline_is_refused():
    with pytest.raises(InputError, match="deadline must be > 0"):
        a_round(deadline=0)


def test_devices_are_drawn_from_the_fastest_to_the_slowest():
    drawing = figures.speed_and_availability(DEVICES, 8, 3, deadline=7.0)
    left, right = drawing.figure.axes
    assert [bar.get_width() for bar in left.patches] == [6.0, 10.0, 10.0, 18.0]
    away = right.images[0].get_array()
    assert away.tolist() == [[False] * 3, [False] * 3, [True] * 3, [False] * 3]
    assert drawing.alt == (
        "Left: seconds that each of 4 devices takes for a round, from 6.0 to 18.0; 1 meet the deadline of 7.0 seconds. "
        "Right: who is there in which of 3 rounds; a device is there in 75% of them on average."
    )


@pytest.mark.parametrize("count", [1, 200])
def test_any_number_of_devices_can_be_drawn(count):
    devices = draw_devices(count, slow_share=0.5, slow_factor=10, seed=0)
    assert figures.speed_and_availability(devices, 10, 30, deadline=4.0).figure.axes


RUNS = {"drop the late": [([0, 10, 20], [0.1, 0.2, 0.4]), ([0, 5, 50], [0.1, 0.4, 0.6])]}


def test_curves_go_to_the_end_of_the_time_for_all_seeds():
    drawing = figures.accuracy_by_clock(RUNS, 40, lines={"local only": 0.2, "centralized": 0.9})
    (axis,) = drawing.figure.axes
    curve, local_only, centralized = axis.lines
    assert (curve.get_xdata()[0], curve.get_xdata()[-1]) == (0, 40)
    assert curve.get_ydata()[-1] == pytest.approx(0.4), "0.4 with either seed, 20 seconds after the first one ended"
    assert local_only.get_color() == plots.STYLES["local only"]["color"]
    assert (local_only.get_label(), local_only.get_ydata()[0]) == ("local only: 20.0%", 0.2)
    assert centralized.get_color() == plots.STYLES["centralized"]["color"]
    assert axis.get_xlabel() and axis.get_ylabel()
    (legend,) = drawing.figure.legends
    assert legend.get_title().get_text() == "line: mean, band: range of 2 seeds"
    assert [text.get_text() for text in axis.texts][-1] == "last quarter"
    assert drawing.alt == (
        "Test accuracy against simulated seconds, mean and range of 2 seeds. Mean over the last quarter of 40 seconds: "
        "drop the late 40.0%. Reference lines: local only 20.0%, centralized 90.0%."
    )


def test_groups_of_classes_have_a_panel_each():
    drawing = figures.accuracy_of_groups({"x": RUNS, "y": RUNS}, 40, xlabel="round")
    assert [axis.get_title() for axis in drawing.figure.axes] == ["x", "y"]
    assert drawing.alt == (
        "Accuracy by group of classes against round, mean and range of 2 seeds. Mean over the last quarter: "
        "x: drop the late 40.0%; y: drop the late 40.0%."
    )
    assert {axis.get_xlim() for axis in drawing.figure.axes} == {(0, 40)}


def test_the_last_round_can_be_seen():
    (axis,) = figures.accuracy_of_groups({"x": RUNS}, 50, xlabel="round", beyond=1).figure.axes
    assert axis.get_xlim() == (0, 51)
    assert axis.lines[0].get_xdata()[-1] == 51 and axis.lines[0].get_ydata()[-1] == pytest.approx(0.5)


def test_no_colour_of_a_rule_is_that_of_a_reference_line():
    colors = [style["color"] for style in figures._STYLES_OF_RUNS.values()]
    assert len(set(colors)) == len(colors)
    assert not {plots.STYLES[name]["color"] for name in ("local only", "centralized")} & set(colors)


@pytest.mark.parametrize(
    ("draw", "alt"),
    [
        (figures.accuracy_on_classes, "Accuracy on the test images, x and y: a 20.0% and 60.0%."),
        (
            figures.accuracy_on_own_images,
            "Accuracy on the clients' own validation images, means over x and over y: a 20.0% and 60.0%.",
        ),
    ],
)
def test_groups_are_marks_with_their_mean(draw, alt):
    drawing = draw({"a": {"x": [0.1, 0.3], "y": [0.5, 0.7]}})
    (axis,) = drawing.figure.axes
    means = [line.get_xdata()[0] for line in axis.lines if line.get_label() in "xy"]
    assert means == pytest.approx([0.2, 0.6])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a"]
    assert axis.get_xlabel().startswith("accuracy") and axis.get_xlabel().endswith("(the axis begins at 8%)")
    assert drawing.alt == alt


def test_axes_of_accuracies_begin_at_60_percent_if_all_are_above():
    (axis,) = figures.accuracy_on_classes({"a": {"x": [0.65, 0.7], "y": [0.8, 0.9]}}).figure.axes
    assert axis.get_xlim()[0] == 0.6


def test_axes_of_accuracies_do_not_begin_below_0():
    (axis,) = figures.accuracy_on_classes({"a": {"x": [0.01, 0.7], "y": [0.8, 0.9]}}).figure.axes
    assert axis.get_xlim()[0] == 0 and axis.get_xlabel().endswith("(the axis begins at 0%)")


CURVES = {
    "wait for all": [{"clock": [0, 10, 20], "fast": [0.1, 0.5, 0.7], "slow": [0.1, 0.6, 0.8]}],
    "drop the late": [
        {"clock": [0, 5, 10, 15, 20], "fast": [0.1, 0.6, 0.7, 0.8, 0.9], "slow": [0.1, 0.2, 0.3, 0.4, 0.5]}
    ],
}


def test_rules_are_compared_after_as_many_rounds_or_as_much_time():
    by_rounds = figures.one_comparison(CURVES, 2, 20, by_clock=False)
    assert by_rounds.alt.startswith("After 2 rounds each")
    assert [label.get_text() for label in by_rounds.figure.axes[0].get_yticklabels()] == [
        "wait for all\n2 rounds, 20 s",
        "drop the late\n2 rounds, 10 s",
    ]
    by_clock = figures.one_comparison(CURVES, 1, 20, by_clock=True)
    assert by_clock.alt.startswith("After 10 simulated seconds each")
    assert by_clock.alt.endswith(
        "wait for all, 1 round, 10 s 10.1% and 10.1%; drop the late, 2 rounds, 10 s 60.0% and 20.0%."
    )


def test_both_ways_of_comparing_are_told_for_every_number_of_rounds():
    after_two = figures.ahead_on_slow(CURVES, 2, 20)
    assert after_two == pytest.approx({"by rounds": -39.7, "by the clock": -19.9}, abs=0.5)
    assert figures.most_misleading(CURVES, 2, 20) == 2
    assert figures.most_misleading(CURVES, 1, 20) == 1


# The widget


def test_the_widget_follows_rule_and_deadline(screen):
    figures.explore_one_round(DEVICES, [0, 1, 2, 3], 1, 8, deadline=7.0)
    assert "after 7.0 seconds: 1 in time, 0 partial work, 2 late, 1 away" in screen.alts[-1]
    screen.control("rule").value = "partial work"
    assert "1 in time, 2 partial work, 0 late, 1 away" in screen.alts[-1]
    screen.control("deadline, s").value = 10.0
    assert "after 10.0 seconds: 2 in time, 1 partial work, 0 late, 1 away" in screen.alts[-1]
    screen.control("rule").value = "wait for all"
    assert "no deadline: 3 in time" in screen.alts[-1]


def test_the_widget_turns_the_wrong_comparison_into_the_right_one(screen):
    figures.explore_comparison(CURVES, 2, 20)
    assert screen.alts[-1].startswith("After 2 rounds each")
    screen.control("compare").value = figures.BY_CLOCK
    assert screen.alts[-1].startswith("After 20 simulated seconds each")
    screen.control("rounds of waiting").value = 1
    assert screen.alts[-1].startswith("After 10 simulated seconds each")


@pytest.mark.browser
def test_the_deadline_and_the_rule_of_a_round(opened, expect):
    page = opened("03_clients_that_come_and_go")
    widget = cell(page, "figures.explore_one_round(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile(r"the deadline is after [\d.]+ seconds: \d in time, 0 partial"))
    before = image.get_attribute("alt")
    widget.get_by_role("button", name="partial work").click()
    expect(image).to_have_attribute("alt", re.compile(r"\d in time, [1-9] partial work, \d late, \d away"))
    press(page, widget.locator(".widget-slider", has_text="deadline"), "ArrowLeft", 4)
    deadline = re.search(r"the deadline is after [\d.]+ seconds", before)[0]
    expect(image).to_have_attribute("alt", re.compile(f"^(?!.*{re.escape(deadline)}).*the deadline is after"))
    widget.get_by_role("button", name="wait for all").click()
    expect(image).to_have_attribute("alt", re.compile(r"no deadline: \d in time, .* The round lasts [\d.]+"))

"""The lesson of notebook 03."""

import math
import re

import numpy as np
import pytest
from in_browser import cell, press
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers import plots
from fedlearn_helpers.availability.devices import Devices, draw_devices
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.clients_that_come_and_go import figures
from fedlearn_helpers.lessons.common import widgets


def share_in_time(seconds):
    """Half of the devices take 3 seconds, the others from 11 to 20."""
    return 0.5 * (seconds >= 3) + 0.05 * min(max(seconds - 10, 0), 10)


class TestClientsThatComeAndGo(LessonTests):
    lesson = Lesson(
        notebook="03_clients_that_come_and_go",
        small={"num_clients": 8, "clients_per_round": 4, "num_rounds": 1, "max_images": 400},
        metrics={
            "wait_test_accuracy",
            "drop_slow_classes_accuracy",
            "partial_fast_classes_accuracy",
            "partial_pull_simulated_seconds",
            "local_only_test_accuracy",
            "centralized_test_accuracy",
            "few_clients_lost_class_after",
            "many_clients_lost_class_after",
        },
        bad=[
            ({"clients_per_round": 31}, "clients_per_round must be <= num_clients (30), got 31"),
            ({"slow_share": 1.0}, "slow_share must leave at least one fast and one slow device among 30"),
            ({"slow_share": 0.0}, "slow_share must leave at least one fast and one slow device among 30"),
            ({"availability": 0.0}, "availability must be > 0, got 0.0"),
            ({"deadline": 0.0}, "deadline must be > 0, got 0.0"),
            ({"mu": -0.1}, "mu must be >= 0, got -0.1"),
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
                (10, "fewer than 80%"),
                (18, "One second less is enough"),
                (16.5, "must be a whole number of seconds"),
                ("late", "must be a number, and it is 'late'"),
            ],
        },
        given={"smallest_deadline": {"share_in_time": share_in_time}},
        names={"math": math, "np": np},
        in_browser=Typed("clients_to_ask", wrong="18", sentence="one in ten is not there", right="20"),
    )


# Figures


# one step takes 0.5, 1 and 2 seconds, and the transfers 2 seconds; the last device is never there
DEVICES = Devices(np.array([0.5, 1.0, 2.0, 1.0]), np.full(4, 2.0), np.array([1.0, 1.0, 1.0, 0.0]), seed=0)


def a_round(**rule):
    return figures.RoundInTime(DEVICES, [0, 1, 2, 3], 1, 8, **rule)


def test_a_round_says_who_is_in_time_and_how_long_it_lasts():
    assert a_round().describe() == (
        "4 clients are asked, no deadline: 3 in time, 0 partial work, 0 late, 1 away. "
        "The round lasts 18.0 simulated seconds."
    )
    assert a_round(deadline=7.0).describe() == (
        "4 clients are asked, the deadline is after 7.0 seconds: 1 in time, 0 partial work, 2 late, 1 away. "
        "The round lasts 7.0 simulated seconds."
    )
    assert "1 in time, 2 partial work, 0 late, 1 away" in a_round(deadline=7.0, late="partial").describe()


def test_a_bar_for_every_client_that_is_there_and_lines_for_deadline_and_end():
    figure = a_round(deadline=7.0).draw()
    (axis,) = figure.axes
    assert [bar.get_width() for bar in axis.patches] == [6.0, 10.0, 18.0]
    assert [text.get_text().strip() for text in axis.texts] == ["away"]
    assert [label.get_text() for label in axis.get_yticklabels()] == [f"client {k}" for k in range(4)]
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["in time", "late: cut off", "the round ends: 7.0 s", "deadline: 7.0 s"]


def test_kinds_of_answers_differ_in_greyscale_too():
    assert len({look.get("hatch") for look in figures._LOOKS.values()}) == len(figures._LOOKS)


def test_a_round_with_an_impossible_deadline_is_refused():
    with pytest.raises(InputError, match="deadline must be > 0"):
        a_round(deadline=0)


def test_devices_are_drawn_from_the_fastest_to_the_slowest():
    left, right = figures.device_map(DEVICES, 8, 3, deadline=7.0).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["0", "1", "3", "2"]
    away = right.images[0].get_array()
    assert away.tolist() == [[False] * 3, [False] * 3, [True] * 3, [False] * 3]


@pytest.mark.parametrize("count", [1, 200])
def test_any_number_of_devices_can_be_drawn(count):
    devices = draw_devices(count, slow_share=0.5, slow_factor=10, seed=0)
    assert figures.device_map(devices, 10, 30, deadline=4.0).axes


def test_the_clock_of_several_seeds_is_a_mean_of_steps():
    runs = {"drop": [([0, 10, 20], [0.1, 0.2, 0.4]), ([0, 5, 30], [0.1, 0.4, 0.6])]}
    (axis,) = figures.accuracy_by_clock(runs, {"centralized: 90%": 0.9}).axes
    curve, line = axis.lines
    assert curve.get_xdata().tolist() == [0, 5, 10, 20], "up to where the first seed ends"
    assert curve.get_ydata().tolist() == pytest.approx([0.1, 0.25, 0.3, 0.4])
    assert line.get_color() == plots.STYLES["centralized"]["color"]
    assert axis.get_xlabel() and axis.get_ylabel()


def test_groups_are_marks_with_their_mean():
    (axis,) = figures.grouped_dots({"a": {"x": [0.1, 0.3], "y": [0.5, 0.7]}}, xlabel="accuracy").axes
    means = [line.get_xdata()[0] for line in axis.lines if line.get_label() in "xy"]
    assert means == pytest.approx([0.2, 0.6])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a"]


# The widget


def test_the_widget_follows_rule_and_deadline(monkeypatch):
    boxes, alts = [], []
    monkeypatch.setattr(widgets, "display", boxes.append)
    monkeypatch.setattr(plots, "image", lambda figure, alt: alts.append(alt) or "")
    figures.round_in_time(DEVICES, [0, 1, 2, 3], 1, 8, deadline=7.0)
    rule, deadline, _ = boxes[0].children
    assert "after 7.0 seconds: 1 in time, 0 partial work, 2 late, 1 away" in alts[-1]
    rule.value = "partial work"
    assert "1 in time, 2 partial work, 0 late, 1 away" in alts[-1]
    deadline.value = 10.0
    assert "after 10.0 seconds: 2 in time, 1 partial work, 0 late, 1 away" in alts[-1]
    rule.value = "wait for all"
    assert "no deadline: 3 in time" in alts[-1]


@pytest.mark.browser
def test_the_deadline_and_the_rule_of_a_round(opened, expect):
    page = opened("03_clients_that_come_and_go")
    widget = cell(page, "figures.round_in_time(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile(r"the deadline is after [\d.]+ seconds: 4 in time, 0 partial"))
    before = image.get_attribute("alt")
    widget.get_by_role("button", name="partial work").click()
    expect(image).to_have_attribute("alt", re.compile(r"4 in time, [1-6] partial work, [0-5] late, 0 away"))
    press(page, widget.locator(".widget-slider", has_text="deadline"), "ArrowLeft", 4)
    deadline = re.search(r"the deadline is after [\d.]+ seconds", before)[0]
    expect(image).to_have_attribute("alt", re.compile(f"^(?!.*{re.escape(deadline)}).*the deadline is after"))
    widget.get_by_role("button", name="wait for all").click()
    expect(image).to_have_attribute("alt", re.compile(r"no deadline: 10 in time, .* The round lasts [\d.]+"))

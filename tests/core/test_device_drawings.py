"""Drawings of devices and of rounds in simulated time, and the widget that moves a deadline."""

import numpy as np
import pytest

from fedlearn_helpers import plots
from fedlearn_helpers.availability.devices import Devices, draw_devices, steps_in_time
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common import diagrams, widgets

# one step takes 0.5, 1 and 2 seconds, and the transfers 2 seconds; the last device is never there
DEVICES = Devices(np.array([0.5, 1.0, 2.0, 1.0]), np.full(4, 2.0), np.array([1.0, 1.0, 1.0, 0.0]), seed=0)


def a_round(**rule):
    return diagrams.RoundInTime(DEVICES, [0, 1, 2, 3], 1, 8, **rule)


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
    assert len({look.get("hatch") for look in diagrams._LOOKS.values()}) == len(diagrams._LOOKS)


def test_a_round_with_an_impossible_deadline_is_refused():
    with pytest.raises(InputError, match="deadline must be > 0"):
        a_round(deadline=0)


def test_devices_are_drawn_from_the_fastest_to_the_slowest():
    left, right = diagrams.device_map(DEVICES, 8, 3, deadline=7.0).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["0", "1", "3", "2"]
    away = right.images[0].get_array()
    assert away.tolist() == [[False] * 3, [False] * 3, [True] * 3, [False] * 3]


@pytest.mark.parametrize("count", [1, 200])
def test_any_number_of_devices_can_be_drawn(count):
    devices = draw_devices(count, slow_share=0.5, slow_factor=10, seed=0)
    assert diagrams.device_map(devices, 10, 30, deadline=4.0).axes


def test_the_clock_of_several_seeds_is_a_mean_of_steps():
    runs = {"drop": [([0, 10, 20], [0.1, 0.2, 0.4]), ([0, 5, 30], [0.1, 0.4, 0.6])]}
    (axis,) = diagrams.accuracy_by_clock(runs, {"centralized: 90%": 0.9}).axes
    curve, line = axis.lines
    assert curve.get_xdata().tolist() == [0, 5, 10, 20], "up to where the first seed ends"
    assert curve.get_ydata().tolist() == pytest.approx([0.1, 0.25, 0.3, 0.4])
    assert line.get_color() == plots.STYLES["centralized"]["color"]
    assert axis.get_xlabel() and axis.get_ylabel()


def test_groups_are_marks_with_their_mean():
    (axis,) = diagrams.grouped_dots({"a": {"x": [0.1, 0.3], "y": [0.5, 0.7]}}, xlabel="accuracy").axes
    means = [line.get_xdata()[0] for line in axis.lines if line.get_label() in "xy"]
    assert means == pytest.approx([0.2, 0.6])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a"]


def test_the_widget_follows_rule_and_deadline(monkeypatch):
    boxes, alts = [], []
    monkeypatch.setattr(widgets, "display", boxes.append)
    monkeypatch.setattr(plots, "image", lambda figure, alt: alts.append(alt) or "")
    widgets.round_in_time(DEVICES, [0, 1, 2, 3], 1, 8, deadline=7.0)
    rule, deadline, _ = boxes[0].children
    assert "after 7.0 seconds: 1 in time, 0 partial work, 2 late, 1 away" in alts[-1]
    rule.value = "partial work"
    assert "1 in time, 2 partial work, 0 late, 1 away" in alts[-1]
    deadline.value = 10.0
    assert "after 10.0 seconds: 2 in time, 1 partial work, 0 late, 1 away" in alts[-1]
    rule.value = "wait for all"
    assert "no deadline: 3 in time" in alts[-1]


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [((20, 0.5, 2.0, 6.0), 8), ((20, 1.0, 2.0, 5.75), 3), ((5, 0.5, 2.0, 60.0), 5), ((5, 0.5, 2.0, 1.0), 0)],
)
def test_steps_in_time(arguments, steps):
    assert steps_in_time(*arguments) == steps


def test_numbers_of_steps_from_numpy_fit_into_a_message():
    for rule in ({}, {"deadline": 7.0, "late": "partial"}):
        assert type(DEVICES.answer(1, 1, np.int64(8), **rule).steps) is int

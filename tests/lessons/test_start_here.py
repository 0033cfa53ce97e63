"""The lesson of notebook 00."""

import re

import ipywidgets
import numpy as np
import pytest
from in_browser import cell, press
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers.lessons.start_here import figures


def error_after(steps):
    return 0.1 + (steps - 7) ** 2 / 100


class TestStartHere(LessonTests):
    lesson = Lesson(
        notebook="00_start_here",
        small={"num_rounds": 2, "local_steps": 2},
        metrics={"federated_error", "centralized_error", "local_only_error"},
        bad=[
            ({"num_rounds": 0}, "num_rounds must be >= 1, got 0"),
            ({"learning_rate": 5}, "learning_rate must be <= 0.25, got 5"),
            ({"local_steps": "many"}, "local_steps must be a whole number, got 'many'"),
        ],
        wrong={
            "two_records": [
                ("A", "Only if the gradient came from one record"),
                ("c", "The gradient does depend on the records"),
                ("D", "must be one of 'A', 'B', 'C', and it is 'D'"),
                (2, "must be one of 'A', 'B', 'C', and it is 2"),
            ],
            "average": [
                (lambda returned, examples: np.mean(returned, axis=0), "That is the plain mean"),
                (
                    lambda returned, examples: sum(n * w for n, w in zip(examples, returned, strict=True)),
                    "single client",
                ),
                (lambda returned, examples: np.average(returned, weights=examples, axis=0).mean(), "shape"),
                (lambda returned, examples: np.average(returned, weights=examples[::-1], axis=0), "wrong way"),
                (lambda returned, examples: returned @ examples, "raised TypeError"),
                (lambda returned, examples: None, "returned None"),
                (3, "must be a function, and it is 3"),
                (lambda returned, examples: sum(returned) / len(returned), "plain mean"),
            ],
            "best_local_steps": [
                (1, "still on its way"),
                (50, "drift apart"),
                (51, "from 1 to 50, and it is 51"),
                (2.5, "from 1 to 50, and it is 2.5"),
                ("many", "must be a number, and it is 'many'"),
            ],
        },
        given={"best_local_steps": {"error_after": error_after}},
        names={"np": np},
        in_browser=Typed("two_records", wrong='"A"', sentence="Only if the gradient came from one", right='"B"'),
    )


# Figures


MAP_X, MAP_Y = [np.array([0.0, 1.0]), np.array([2.0])], [np.array([1.0, 3.0]), np.array([5.0])]


def half_way(weights, x, y, steps):
    goal = np.array([2.0, 1.0]) if len(x) == 2 else np.array([0.0, 5.0])
    return goal + (weights - goal) * 0.5**steps


def test_the_map_averages_by_weights():
    picture = figures.WeightSpace(MAP_X, MAP_Y, half_way, np.zeros(2), local_steps=1, weights=[3, 1])
    assert picture.average.tolist() == pytest.approx([0.75, 1.0])
    text = picture.describe(step=3)
    assert "client 0 to 1.00, 0.50; client 1 to 0.00, 2.50" in text
    assert "slope 0.75, intercept 1.00" in text
    assert f"error {np.mean((0.75 * np.array([0, 1, 2]) + 1 - np.array([1, 3, 5])) ** 2):.2f} on all points" in text
    assert text.endswith("the centralized line has 0.00.")


@pytest.mark.parametrize(("step", "shown"), [(1, 2), (2, 4), (3, 5)])
def test_the_map_shows_what_has_happened(step, shown):
    picture = figures.WeightSpace(MAP_X, MAP_Y, half_way, np.zeros(2), local_steps=2, weights=[2, 1])
    (axis,) = picture.draw(step).axes
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert len(labels) == shown
    assert ("new global model" in labels) == (step == 3)


# The widget


X = [np.array([-1.0, 0.0]), np.array([1.0, 2.0])]
Y = [np.array([-1.0, 1.0]), np.array([3.0, 5.0])]


def step_towards(weights, x, y, steps):
    """Every step halves the way to slope 2 at client 0, and to slope 4 at client 1."""
    goal = np.array([2.0, 1.0]) if x[0] < 0 else np.array([4.0, 1.0])
    return goal + (weights - goal) * 0.5**steps


def test_the_round_follows_its_controls(screen):
    figures.explore_one_round(X, Y, step_towards, np.zeros(2), local_steps=1)
    assert "In 1 local step the clients move: client 0 to 1.00, 0.50; client 1 to 2.00, 0.50." in screen.alts[-1]
    assert "counting 2, 2: slope 1.50, intercept 0.50" in screen.alts[-1]
    screen.control("client 0 counts").value = 6
    assert "counting 6, 2: slope 1.25" in screen.alts[-1]
    screen.control("local steps").value = 50
    assert "client 0 to 2.00, 1.00; client 1 to 4.00, 1.00." in screen.alts[-1]
    screen.control("stage").value = "2. train"
    assert "averages" not in screen.alts[-1]
    screen.control("stage").value = "1. send"
    assert screen.alts[-1] == "The server sends slope 0.00, intercept 0.00 to every client."


def test_not_all_weights_can_be_zero(screen):
    figures.explore_one_round(X, Y, step_towards, np.zeros(2), local_steps=1)
    for client in (0, 1):
        screen.control(f"client {client} counts").value = 0
    assert "counting 1, 0:" in screen.alts[-1]


def test_controls_wait_until_they_are_released(screen):
    figures.explore_one_round(X, Y, step_towards, np.zeros(2), local_steps=1)
    sliders = [child for child in screen.boxes[0].children if isinstance(child, ipywidgets.IntSlider)]
    assert len(sliders) == 3 and not any(slider.continuous_update for slider in sliders)


def test_no_output_is_caught_by_a_widget(screen):
    """Output widgets make papermill wait for ever now and then: https://github.com/jupyter/nbclient/issues/312."""
    figures.explore_one_round(X, Y, step_towards, np.zeros(2), local_steps=1)
    assert isinstance(screen.boxes[0].children[-1], ipywidgets.HTML)


@pytest.mark.browser
def test_more_local_steps_move_the_clients_farther(opened, expect):
    page = opened("00_start_here")
    widget = cell(page, "figures.explore_one_round(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("In 5 local steps"))
    press(page, widget.locator(".widget-slider", has_text="local steps"), "ArrowRight", 3)
    expect(image).to_have_attribute("alt", re.compile("In 8 local steps"))
    widget.get_by_role("button", name="1. send").click()
    expect(image).to_have_attribute("alt", re.compile(r"to every client\.$"))

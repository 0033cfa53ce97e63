"""The lesson of notebook 00."""

import re

import ipywidgets
import numpy as np
import pytest
import torch
from in_browser import cell, press
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.lessons.start_here import figures
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.training import Evaluation


def error_after(steps):
    return 0.1 + (steps - 7) ** 2 / 100


class TestStartHere(LessonTests):
    lesson = Lesson(
        notebook="00_start_here",
        small={"num_rounds": 2, "local_steps": 2, "image_rounds": 2, "num_clients": 3},
        metrics={
            "federated_error",
            "centralized_error",
            "local_only_error",
            "federated_accuracy",
            "local_only_accuracy",
            "local_only_stopped_accuracy",
            "local_only_best_accuracy",
        },
        bad=[
            ({"num_rounds": 0}, "num_rounds must be >= 1, got 0"),
            ({"num_clients": 1}, "num_clients must be >= 2, got 1"),
            ({"images_per_client": 201}, "images_per_client must be <= 200, got 201"),
            ({"learning_rate": 5}, "learning_rate must be <= 0.25, got 5"),
            ({"local_steps": "many"}, "local_steps must be a whole number, got 'many'"),
        ],
        wrong={
            "two_records": [
                ("A", "Only if the gradient came from one record"),
                ("c", "if both errors had the same sign"),
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
                (lambda returned, examples: np.array(examples) / sum(examples) @ np.array(returned), "Do you use @"),
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
    picture = figures.RoundMap(MAP_X, MAP_Y, half_way, np.zeros(2), local_steps=1, weights=[3, 1])
    assert picture.average.tolist() == pytest.approx([0.75, 1.0])
    text = picture.drawing(step=3).alt
    assert "client 0 to 1.00, 0.50; client 1 to 0.00, 2.50" in text
    assert "slope 0.75, intercept 1.00" in text
    assert f"error {np.mean((0.75 * np.array([0, 1, 2]) + 1 - np.array([1, 3, 5])) ** 2):.3f} on all points" in text
    assert text.endswith("the centralized line has 0.000.")


@pytest.mark.parametrize(("step", "shown"), [(1, 4), (2, 7), (3, 9)])
def test_the_map_shows_what_has_happened(step, shown):
    picture = figures.RoundMap(MAP_X, MAP_Y, half_way, np.zeros(2), local_steps=2, weights=[2, 1])
    (legend,) = picture.drawing(step).figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert len(labels) == shown
    assert ("new global model" in labels) == (step == 3)
    assert "best line of client 1 alone" in labels


def test_a_client_that_does_not_count_has_no_line_to_the_average():
    def dotted(weights):
        picture = figures.RoundMap(MAP_X, MAP_Y, half_way, np.zeros(2), local_steps=2, weights=weights)
        (axis,) = picture.drawing(3).figure.axes
        return sum(line.get_linestyle() == ":" for line in axis.lines)

    assert dotted([2, 1]) == 2 and dotted([2, 0]) == 1


@pytest.mark.parametrize(("round_number", "zooms"), [(1, 0), (2, 0), (8, 1)])
def test_a_round_of_small_steps_is_drawn_larger_beside(round_number, zooms):
    def to_one_line(weights, x, y, steps):
        goal = np.array([2.0, 1.0])
        return goal + (weights - goal) * 0.5**steps

    counts = [2, 1]
    picture = figures.RoundMap(MAP_X, MAP_Y, to_one_line, np.zeros(2), 1, counts, round_number)
    (axis,) = picture.drawing(3).figure.axes
    assert len(axis.child_axes) == zooms


def test_lines_are_drawn_with_their_errors():
    def error_of(line):
        return float(line[0])

    lines = [np.array([0.5, 0.0]), np.array([1.5, 0.0])]
    drawing = figures.line_fits(MAP_X, MAP_Y, lines, lines[0], np.array([0.25, 0.0]), [4.0, 2.0, 0.5], error_of)
    assert "goes from 4.00 to 0.50 in 2 rounds; the centralized line has 0.25, the clients alone 1.00" in drawing.alt
    left, right = drawing.figure.axes
    assert left.get_title() == "Lines after 2 rounds"
    heights = {line.get_label(): line.get_ydata()[0] for line in right.lines[1:]}
    assert heights == {"local only, mean of 2": 1.0, "centralized": 0.25}


def test_a_curve_for_each_number_of_local_steps():
    drawing = figures.errors_by_steps({1: [4.0, 3.0, 2.0], 5: [4.0, 1.5, 1.25]}, 0.5, {1: 0.5, 5: 1.0})
    assert drawing.alt == (
        "How far the error lies above the centralized line's, by round. After the first round: 2.5000 with 1 local "
        "step, 1.0000 with 5 local steps; after 2 rounds: 1.5000 with 1 local step, 0.7500 with 5 local steps; at "
        "rest: 0.0000 with 1 local step, 0.5000 with 5 local steps."
    )
    (axis,) = drawing.figure.axes
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["federated, 1 local step", "federated, 5 local steps", labels[-1]]
    assert labels[-1].startswith("where it comes to rest (with 1 local step: at 0,")
    rests = [line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == "--" and len(line.get_ydata())]
    assert rests == [0.5], "at the centralized line there is none to draw"


def test_earlier_rounds_are_a_path():
    picture = figures.RoundMap(MAP_X, MAP_Y, half_way, np.zeros(2), local_steps=1, weights=[1, 0], round_number=3)
    assert picture.path[:, 0].tolist() == [0.0, 1.0, 1.5, 1.75]
    (legend,) = picture.drawing(step=1).figure.legends
    assert "global models of earlier rounds" in [text.get_text() for text in legend.get_texts()]


# The federation of images


def evaluation(predictions):
    hits = [guess == label for guess, label in zip(predictions, (0, 1), strict=True)]
    return Evaluation(1.0, sum(hits) / 2, 2, torch.tensor(predictions), torch.tensor([0.5, 0.75]))


@pytest.fixture
def two_images():
    pixels, labels = torch.zeros(2, 1, 16, 16, dtype=torch.uint8), torch.tensor([0, 1])
    return ImageDataset("two", pixels, labels, pixels, labels, ("coat", "shirt"), "Made here.")


def test_what_the_server_measures_is_shown_while_it_runs(two_images, monkeypatch):
    shown = []

    class Handle:
        update = shown.append

    monkeypatch.setattr(figures, "display", lambda picture, display_id: shown.append(picture) or Handle)
    watch = figures.Watch(two_images, 2)
    for number, predictions in enumerate(([1, 0], [0, 0], [0, 1])):
        watch.add(number, evaluation(predictions))
    assert watch.accuracies == [0.0, 0.5, 1.0]
    assert [re.search(r"After (\d round)s?", drawing.alt)[1] for drawing in shown] == ["0 round", "1 round", "2 round"]
    assert "right on 50.0% of the test images; at first on 0.0%" in shown[1].alt
    assert watch.before_and_after().alt.endswith(
        "0 right after 0 rounds, 1 right after 1 round, 2 right after 2 rounds."
    )


def test_what_is_said_to_a_class_is_followed_round_by_round(two_images, monkeypatch, screen):
    monkeypatch.setattr(figures, "display", lambda picture, display_id: None)
    watch = figures.Watch(two_images, 1)
    watch.results = {0: evaluation([0, 0]), 1: evaluation([1, 1])}
    assert watch.most_confused() == (0, 1, 1.0)
    drawing = watch.answers(0)
    assert drawing.alt.endswith("After 1 round: 0% coat, 100% shirt.")
    (axis,) = drawing.figure.axes
    assert {line.get_label(): line.get_ydata().tolist() for line in axis.lines} == {
        "✓ coat": [1.0, 0.0],
        "✗ shirt": [0.0, 1.0],
    }
    (other,) = watch.answers(1).figure.axes
    marks = [{line.get_label()[2:]: line.get_marker() for line in one.lines} for one in (axis, other)]
    assert marks[0] == marks[1] and len(set(marks[0].values())) == 2, "a class has the same marker everywhere"
    watch.explore()
    screen.control("true class").value = "shirt"
    assert "of the class shirt" in screen.alts[-1] and screen.alts[-1].endswith("100% shirt, 0% coat.")


def test_together_and_alone_are_told_with_their_range():
    alone = np.array([[0.1, 0.3], [0.2, 0.5]])
    drawing = figures.together_and_alone([5, 10], [0.25, 0.75], alone, [0.5, 0.875])
    assert "federated 75.0%, each client alone from 30.0% to 50.0%, centralized 87.5%" in drawing.alt
    (axis,) = drawing.figure.axes
    assert [text.get_text() for text in axis.get_legend().get_texts()][0] == "local only, each of 2 clients"


def test_an_image_is_found_when_some_picture_is_nearly_the_same():
    true = np.array([[1.0, -1.0, 0.5, 0.0], [-1.0, 0.0, 1.0, 1.0]])
    pictures = np.array([[-1.0, 1.0, 1.0, 0.5], [3.0, -9.0, 0.5, 0.1]])  # what no pixel can be is cut off
    nearest, found = figures.most_similar(pictures, true)
    assert nearest.tolist() == [pictures[1].tolist(), pictures[0].tolist()] and found.tolist() == [True, False]
    results = {1: (nearest, found), 5: (nearest, np.zeros(2, dtype=bool))}
    drawing = figures.images_from_weights(true.reshape(2, 1, 1, 4), results)
    assert drawing.alt.endswith("by local steps: 1 after 1, 0 after 5.")
    frames = [all(spine.get_visible() for spine in axis.spines.values()) for axis in drawing.figure.axes]
    assert frames == [False, False, True, False, False, False]


def test_a_federations_first_clients_are_shown(two_images):
    shards = [Shard(np.array([0]), np.array([1]))] * 5
    assert figures.images_of_clients(two_images, shards).alt.startswith("The first training images of 4 clients.")


# The widget


X = [np.array([-1.0, 0.0]), np.array([1.0, 2.0])]
Y = [np.array([-1.0, 1.0]), np.array([3.0, 5.0])]


def step_towards(weights, x, y, steps):
    """Every step halves the way to slope 2 at client 0, and to slope 4 at client 1."""
    goal = np.array([2.0, 1.0]) if x[0] < 0 else np.array([4.0, 1.0])
    return goal + (weights - goal) * 0.5**steps


def test_the_round_follows_its_controls(screen):
    figures.explore_rounds(X, Y, step_towards, np.zeros(2), local_steps=1)
    assert "In 1 local step the clients move: client 0 to 1.00, 0.50; client 1 to 2.00, 0.50." in screen.alts[-1]
    assert "counting 2, 2: slope 1.50, intercept 0.50" in screen.alts[-1]
    screen.control("client 0 counts").value = 6
    assert "counting 6, 2: slope 1.25" in screen.alts[-1]
    screen.control("local steps").value = 50
    assert "client 0 to 2.00, 1.00; client 1 to 4.00, 1.00." in screen.alts[-1]
    screen.control("stage").value = "2. train"
    assert "averages" not in screen.alts[-1]
    screen.control("stage").value = "1. send"
    assert screen.alts[-1] == "Round 1. The server sends slope 0.00, intercept 0.00 to every client."
    screen.control("local steps").value = 1
    screen.control("round").value = 2
    assert screen.alts[-1] == "Round 2. The server sends slope 1.25, intercept 0.50 to every client."


def test_not_all_weights_can_be_zero(screen):
    figures.explore_rounds(X, Y, step_towards, np.zeros(2), local_steps=1)
    for client in (0, 1):
        screen.control(f"client {client} counts").value = 0
    assert "counting 1, 0:" in screen.alts[-1]


def test_controls_wait_until_they_are_released(screen):
    figures.explore_rounds(X, Y, step_towards, np.zeros(2), local_steps=1)
    sliders = [child for child in screen.boxes[0].children if isinstance(child, ipywidgets.IntSlider)]
    assert len(sliders) == 4 and not any(slider.continuous_update for slider in sliders)


def test_no_output_is_caught_by_a_widget(screen):
    """Output widgets make papermill wait for ever now and then: https://github.com/jupyter/nbclient/issues/312."""
    figures.explore_rounds(X, Y, step_towards, np.zeros(2), local_steps=1)
    assert isinstance(screen.boxes[0].children[-1], ipywidgets.HTML)


@pytest.mark.browser
def test_more_local_steps_move_the_clients_farther(opened, expect):
    page = opened("00_start_here")
    widget = cell(page, "figures.explore_rounds(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("In 2 local steps"))
    press(page, widget.locator(".widget-slider", has_text="local steps"), "ArrowRight", 3)
    expect(image).to_have_attribute("alt", re.compile("In 5 local steps"))
    widget.get_by_role("button", name="1. send").click()
    expect(image).to_have_attribute("alt", re.compile(r"to every client\.$"))

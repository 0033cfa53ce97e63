"""The widgets redraw what was chosen; here without a browser, through the controls' values."""

import ipywidgets
import numpy as np
import pandas as pd
import pytest

from fedlearn_helpers import plots
from fedlearn_helpers.lessons.common import widgets


@pytest.fixture
def screen(monkeypatch):
    """Everything a widget shows: the boxes of controls, the figures' alt texts, the newest last, and the text now."""

    class Screen:
        boxes, alts = [], []

        def control(self, description):
            (box,) = self.boxes
            (found,) = [child for child in box.children if getattr(child, "description", None) == description]
            return found

        @property
        def text(self):
            return self.boxes[0].children[-1].value

    screen = Screen()
    screen.boxes, screen.alts = [], []
    monkeypatch.setattr(widgets, "display", screen.boxes.append)
    monkeypatch.setattr(plots, "image", lambda figure, alt: screen.alts.append(alt) or "<img>")
    return screen


X = [np.array([-1.0, 0.0]), np.array([1.0, 2.0])]
Y = [np.array([-1.0, 1.0]), np.array([3.0, 5.0])]


def step_towards(weights, x, y, steps):
    """Every step halves the way to slope 2 at client 0, and to slope 4 at client 1."""
    goal = np.array([2.0, 1.0]) if x[0] < 0 else np.array([4.0, 1.0])
    return goal + (weights - goal) * 0.5**steps


def test_the_round_follows_its_controls(screen):
    widgets.one_round(X, Y, step_towards, np.zeros(2), local_steps=1)
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
    widgets.one_round(X, Y, step_towards, np.zeros(2), local_steps=1)
    for client in (0, 1):
        screen.control(f"client {client} counts").value = 0
    assert "counting 1, 0:" in screen.alts[-1]


def test_predictions_are_found_by_class_answer_and_confidence(screen):
    images = np.zeros((4, 1, 2, 2), dtype=np.uint8)
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    widgets.browse_predictions(images, labels, predicted, np.array([0.9, 0.8, 0.6, 0.7]), ["cat", "dog"])
    assert screen.alts[-1] == "2 test images: wrong answers, all classes, at least 0% sure."
    screen.control("true class").value = "dog"
    assert screen.alts[-1] == "1 test images: wrong answers, dog, at least 0% sure."
    screen.control("answers").value = "all"
    assert screen.alts[-1] == "2 test images: right and wrong answers, dog, at least 0% sure."
    count = len(screen.alts)
    screen.control("surer than").value = 0.95
    assert len(screen.alts) == count
    assert screen.text == "<p>No such image: right and wrong answers, dog, at least 95% sure.</p>"
    screen.control("surer than").value = 0.0
    assert screen.text == "<p>2 of 4 test images; the surest first.</p><img>"


def test_settings_are_looked_up_by_what_was_chosen(screen):
    settings = pd.DataFrame(
        {
            "clients": [2, 2, 10, 10],
            "epochs": [1, 5, 1, 5],
            "accuracy": [0.1, 0.2, 0.3, 0.4],
            "megabytes": [1.0, 2, 3, 4],
        }
    )
    widgets.compare_settings(settings)
    assert screen.alts[-1].startswith("Row 0: clients 2, epochs 1: accuracy 10.0% with 1.00 MB sent, among 4 settings")
    screen.control("clients").value = 10
    screen.control("epochs").value = 5
    assert screen.alts[-1].startswith("Row 3: clients 10, epochs 5: accuracy 40.0% with 4.00 MB")


def test_a_client_is_shown_with_its_images_and_accuracies(screen):
    counts = np.array([[3, 0], [1, 2]])
    widgets.browse_clients(counts, ["cat", "dog"], {"local only": [0.5, 0.25], "federated": [0.75, 0.8]})
    assert screen.alts[-1] == (
        "Client 0: 3 training images, from 0 to 3 of a class. "
        "On its own validation images: local only 50.0%, federated 75.0%."
    )
    screen.control("client").value = 1
    assert screen.alts[-1].startswith("Client 1: 3 training images, from 1 to 2 of a class.")


def test_controls_wait_until_they_are_released(screen):
    widgets.one_round(X, Y, step_towards, np.zeros(2), local_steps=1)
    sliders = [child for child in screen.boxes[0].children if isinstance(child, ipywidgets.IntSlider)]
    assert len(sliders) == 3 and not any(slider.continuous_update for slider in sliders)


def test_partitions_follow_their_rule_and_its_number(screen):
    labels = np.repeat([0, 1, 2, 3], 25)
    widgets.browse_partitions(labels, ["a", "b", "c", "d"], 4, alpha=0.3, seed=0)
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
    widgets.browse_partitions(np.repeat([0, 1, 2, 3], 25), ["a", "b", "c", "d"], 2, alpha=0.5, seed=0)
    before = len(screen.alts)
    screen.control("rule").value = "pathological"
    screen.control("classes a client").value = 1
    assert "No such partition: num_clients=2 with classes_per_client=1 have room for 2 of 4 classes" in screen.text
    assert len(screen.alts) == before + 1  # two classes each can be made


def test_no_output_is_caught_by_a_widget(screen):
    """Output widgets make papermill wait for ever now and then: https://github.com/jupyter/nbclient/issues/312."""
    widgets.one_round(X, Y, step_towards, np.zeros(2), local_steps=1)
    assert isinstance(screen.boxes[0].children[-1], ipywidgets.HTML)


def test_a_walk_on_the_plane_follows_its_controls(screen):
    def walk(steps, mu):
        return np.array([[0.0, 0.0], [1.0, 0.0]]) * steps * mu

    centres, curvatures = np.array([[1.0, 0.0], [3.0, 0.0]]), np.ones((2, 2))
    widgets.walk_on_plane({"FedAvg": walk, "FedProx": walk}, centres, curvatures)
    assert screen.alts[-1] == (
        "FedAvg, 10 local steps: after 1 rounds the model is 8.000 from the optimum of all clients."
    )
    screen.control("strategy").value = "FedProx"
    screen.control("local steps").value = 2
    assert screen.alts[-1].startswith("FedProx, 2 local steps, μ = 1: after 1 rounds the model is 0.000")

"""The lesson of notebook 01."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from in_browser import cell
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers import models, training
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.lessons.centralized_cnn import figures
from fedlearn_helpers.training import Evaluation


def loss_after(rate):
    return 1 + abs(np.log(rate / 0.003))


def counting(divide):
    """An answer to `accuracy_per_class` with another denominator."""

    def answer(labels, predictions, num_classes):
        right = np.bincount(labels[labels == predictions], minlength=num_classes)
        with np.errstate(all="ignore"):
            return right / divide(labels, predictions, num_classes)

    return answer


def images_of(labels, predictions, num_classes):
    return np.bincount(labels, minlength=num_classes)


class TestCentralizedCNN(LessonTests):
    lesson = Lesson(
        notebook="01_centralized_cnn",
        small={"num_clients": 40, "epochs": 2, "batch_size": 200},
        metrics={"centralized_test_accuracy", "local_only_test_accuracy"},
        bad=[
            ({"epochs": 0}, "epochs must be >= 1, got 0"),
            ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
            ({"dataset": "imagenet"}, "dataset must be 'fashion', 'cifar10'"),
            ({"num_clients": 6000}, "num_clients=6000 leaves a client with 1; use fewer clients"),
        ],
        wrong={
            "layer_weights": [
                (216, "bias"),
                (80, "That is for grey images"),
                (240, "one bias, not one for every channel"),
                (28, "That is one filter. There are eight."),
                (1000, "1000 is not it"),
            ],
            "accuracy_per_class": [
                (counting(lambda true, said, n: np.bincount(said, minlength=n)), "how often the model said"),
                (counting(lambda true, said, n: len(true)), "by the number of all images"),
                (counting(lambda true, said, n: 1), "These are counts"),
                (lambda true, said, n: np.nan_to_num(counting(images_of)(true, said, n)), "must be nan, and it is 0"),
                (lambda true, said, n: np.mean(true == said), "one number per class"),
                (
                    lambda true, said, n: np.array([np.mean(said[true == k] == k) for k in np.unique(true)]),
                    "the last classes have no images",
                ),
            ],
            "better_rate": [
                (0.0001, "With so small a step"),
                (0.5, "With so large a step"),
                (-1, "above 0 and at most 1, and it is -1"),
                (None, "must be a number, and it is None"),
            ],
        },
        given={"better_rate": {"loss_after": loss_after}},
        names={"np": np},
        shown={"TutorialCNN": models, "train": training},
        in_browser=Typed("layer_weights", wrong="216", sentence="its bias", right="224"),
    )


# Figures


def data_of(labels, class_names, side=8):
    images = torch.zeros((len(labels), 1, side, side), dtype=torch.uint8)
    labels = torch.tensor(labels)
    return ImageDataset("noise", images, labels, images, labels, class_names, "Nothing.")


def epochs_of(**columns):
    table = pd.DataFrame({name.replace("_", " "): values for name, values in columns.items()})
    return table.set_index(pd.RangeIndex(1, len(table) + 1, name="epoch"))


def test_confusion_shows_shares_of_the_true_class():
    drawing = figures.confusion(np.array([[3, 1], [0, 0]]), ["cat", "dog"], "One cat was called a dog.")
    axis, _ = drawing.figure.axes
    assert axis.get_xlabel() and axis.get_ylabel()
    assert sorted(text.get_text() for text in axis.texts) == ["25%", "75%"]
    assert drawing.alt == "Confusion matrix on 4 test images, 75.0% right. One cat was called a dog."


def test_a_class_without_enough_images_leaves_places_empty():
    drawing = figures.class_examples(data_of([0, 0, 1], ("a", "b")), per_class=2)
    assert sum(len(axis.images) for axis in drawing.figure.axes) == 3
    assert drawing.alt == "2 training images of each of the 2 classes, one row per class: a, b."


def test_losses_say_where_the_minimum_is():
    drawing = figures.losses(epochs_of(training_loss=[3.0, 1.0, 0.5], test_loss=[2.0, 1.5, 1.75]), "local only")
    assert drawing.alt == (
        "Loss over 3 epochs. The training loss goes from 3.00 to 0.50, the test loss from 2.00 to 1.75; its minimum is "
        "at epoch 2."
    )
    (axis,) = drawing.figure.axes
    assert [line.get_label() for line in axis.lines] == ["local only, training loss", "test loss"]


def test_the_centralized_model_and_clients_alone_are_drawn_by_epoch():
    tables = [epochs_of(test_accuracy=[0.1, end]) for end in (0.8, 0.5, 0.625)]
    drawing = figures.accuracy_by_epoch(tables[0], tables[1:])
    assert drawing.alt == (
        "Test accuracy over 2 epochs. Centralized training ends at 80.0%, 2 clients alone at 50.0%, 62.5%."
    )
    labels = [line.get_label() for line in drawing.figure.axes[0].lines]
    assert labels == ["centralized", "local only, client 0", "local only, client 1"]


# The widget and the predictions it shows

DATA = data_of([0, 0, 1, 1], ("cat", "dog"), side=2)
TEST = Evaluation(1.0, 0.5, 4, torch.tensor([0, 1, 0, 1]), torch.tensor([0.9, 0.8, 0.6, 0.7]))


def test_predictions_count_those_that_are_right():
    drawing = figures.predictions(DATA, TEST, np.array([0, 1, 3]), "Some")
    assert drawing.alt == "Some: 3 images with true and predicted class, 2 of them right."


def test_predictions_are_found_by_class_answer_and_confidence(screen):
    figures.browse_predictions(DATA, TEST)
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


@pytest.mark.browser
def test_browsing_predictions_by_class(opened, expect):
    page = opened("01_centralized_cnn")
    widget = cell(page, "figures.browse_predictions(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("wrong answers, all classes, at least 0% sure"))
    names = widget.locator("select option").all_inner_texts()
    widget.locator("select").select_option(names[3])
    expect(image).to_have_attribute("alt", re.compile(f"wrong answers, {re.escape(names[3])}, at least 0% sure"))
    widget.get_by_role("button", name="right", exact=True).click()
    expect(image).to_have_attribute("alt", re.compile(f"right answers, {re.escape(names[3])}"))

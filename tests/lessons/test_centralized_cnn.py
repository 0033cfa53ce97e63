"""The lesson of notebook 01."""

import re

import numpy as np
import pytest
from in_browser import cell
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers import models, training
from fedlearn_helpers.lessons.centralized_cnn import figures


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


def test_axes_of_the_confusion_matrix_are_labelled():
    (axis, _) = figures.confusion(np.array([[3, 1], [0, 4]]), ["cat", "dog"]).axes
    assert axis.get_xlabel() and axis.get_ylabel()


def test_confusion_shows_shares_of_the_true_class():
    figure = figures.confusion(np.array([[3, 1], [0, 0]]), ["cat", "dog"])
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["25%", "75%"]


def test_a_class_without_enough_images_leaves_places_empty():
    figure = figures.class_examples(np.zeros((3, 1, 8, 8), np.uint8), np.array([0, 0, 1]), ["a", "b"], per_class=2)
    assert sum(len(axis.images) for axis in figure.axes) == 3


# The widget


def test_predictions_are_found_by_class_answer_and_confidence(screen):
    images = np.zeros((4, 1, 2, 2), dtype=np.uint8)
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    figures.browse_predictions(images, labels, predicted, np.array([0.9, 0.8, 0.6, 0.7]), ["cat", "dog"])
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

"""The exercises of notebook 01."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number
from fedlearn_helpers.metrics import accuracy_per_class as solution_of_accuracy_per_class

RATES = (0.0003, 0.001, 0.003, 0.01)
_CHANNELS, _FILTERS, _SIDE = 3, 8, 3


def _test_layer_weights(answer: Any) -> str:
    weights = _FILTERS * _CHANNELS * _SIDE**2
    mistakes = {
        weights: "The filters have that many. But each filter also has one number that is added to its answer, its bias.",
        _FILTERS * _SIDE**2
        + _FILTERS: "That is for grey images. A filter looks at all colour channels at once, and has a "
        "weight for every pixel in each of them.",
        _FILTERS * _SIDE**2: "That is for grey images, and without the biases.",
        _CHANNELS * (_FILTERS * _SIDE**2 + _FILTERS): "A filter has one bias, not one for every channel.",
        _SIDE**2 * _CHANNELS + 1: "That is one filter. There are eight.",
        _SIDE**2 * _CHANNELS: "That is one filter, without its bias. There are eight.",
    }
    value = number(answer)
    if value in mistakes:
        raise NotYet(mistakes[int(value)])
    if value != weights + _FILTERS:
        raise NotYet(
            f"{value:g} is not it. How many pixels does a {_SIDE}x{_SIDE} filter look at, in how many channels? And what "
            "does each filter have besides?"
        )
    return (
        f"{_FILTERS} filters with {_SIDE} · {_SIDE} · {_CHANNELS} weights and a bias each. The size of the image plays no "
        "role: that is why convolutions are cheap to send."
    )


def _test_accuracy_per_class(answer: Callable[..., Any]) -> str:
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    predictions = np.array([0, 0, 0, 1, 1, 0, 0])
    result = np.asarray(call(answer, labels, predictions, 3), dtype=float)
    if result.shape != (3,):
        raise NotYet(f"The result must have one number per class, shape (3,), and it has {result.shape}.")
    predicted_counts = np.bincount(predictions, minlength=3)
    if np.allclose(np.nan_to_num(result), [3, 1, 0] / np.maximum(predicted_counts, 1)):
        raise NotYet(
            "You divide by how often the model said a class. Divide by how many images of that class there are: "
            "of four images of class 0, three were recognised."
        )
    if np.allclose(result, np.array([3, 1, 0]) / len(labels)):
        raise NotYet("You divide by the number of all images. Divide by the number of images of the class.")
    if np.allclose(result, [3, 1, 0]):
        raise NotYet("These are counts. Divide each by the number of images of its class.")
    if not np.allclose(result, [3 / 4, 1 / 2, 0]):
        raise NotYet(
            f"For labels {labels.tolist()} and predictions {predictions.tolist()} it returned {result.tolist()}: of four "
            "images of class 0, three were recognised, of two of class 1 one, of one of class 2 none."
        )
    with np.errstate(all="ignore"):
        result = np.asarray(call(answer, labels[:4], predictions[:4], 3), dtype=float)
    if result.shape != (3,):
        raise NotYet("When the last classes have no images, the result must still have one number per class.")
    if not np.isnan(result[1:]).all():
        raise NotYet(
            f"A class without images has no accuracy: it must be nan, and it is {result[1]:g}. Clients with few classes "
            "will need this."
        )
    return "Later notebooks use this very function: a good average can hide a class that is never recognised."


def _test_better_rate(answer: Any, *, loss_after: Callable[[float], float]) -> str:
    rate = number(answer)
    if not 0 < rate <= 1:
        raise NotYet(f"A learning rate is above 0 and at most 1, and it is {rate:g}.")
    losses = {tried: loss_after(tried) for tried in RATES}
    best = min(losses, key=losses.__getitem__)
    mine = loss_after(rate)
    if not mine <= losses[best] * 1.001:
        why = (
            "With so small a step the model has not come far after so few steps."
            if rate < best
            else "With so large a step it jumps over what it looks for."
        )
        raise NotYet(
            f"{why} {rate:g} gives the loss {mine:.3f}; there is a rate that gives {losses[best]:.3f} or less."
        )
    return (
        f"{rate:g} gives the loss {mine:.3f}, and {RATES[1]:g} gives {losses[RATES[1]]:.3f}. It is the best for these few "
        "steps: with more steps the best rate is smaller."
    )


layer_weights = Exercise(
    name="layer_weights",
    kind="predict",
    difficulty="easy",
    minutes=3,
    hints=(
        "One filter looks at 3x3 pixels in each of the 3 colour channels, and gives one number.",
        "A filter has 3 · 3 · 3 weights and one bias. There are 8 filters.",
    ),
    solution_code="prediction = 8 * (3 * 3 * 3 + 1)",
    test=_test_layer_weights,
)

accuracy_per_class = Exercise(
    name="accuracy_per_class",
    kind="code",
    difficulty="medium",
    minutes=8,
    hints=(
        "np.bincount(labels, minlength=num_classes) counts the images of each class.",
        "labels[labels == predictions] are the labels of the images that were recognised. Count those, too, and divide.",
    ),
    solution_code=solution_of_accuracy_per_class,
    test=_test_accuracy_per_class,
)

better_rate = Exercise(
    name="better_rate",
    kind="explore",
    difficulty="medium",
    minutes=8,
    hints=(
        "Try a rate three times as large as 0.001, and one three times as small.",
        "Try 0.0003, 0.001, 0.003 and 0.01: min(..., key=loss_after) finds the best of them.",
    ),
    solution_code="best_rate = min([0.0003, 0.001, 0.003, 0.01], key=loss_after)",
    test=_test_better_rate,
)

"""The exercises of notebook 01."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number

_CHANNELS, _FILTERS, _SIDE = 3, 8, 3
_CHANCE = 0.01  # by so much a number of clients may miss: the accuracy of one training moves by more


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
            f"For labels {labels.tolist()} and predictions {predictions.tolist()} it returned {result.tolist()}. Class 0 has "
            "four images, and three of them were recognised. Class 1 has two, of which one was. Class 2 has one, which was "
            "not."
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
    return "Later notebooks use such a function (metrics.accuracy_per_class): a good average can hide a class that is never recognised."


def _test_half_the_gap(
    answer: Any, *, accuracy_together: Callable[[int], float], halfway: float, num_clients: int
) -> str:
    value = number(answer)
    if value != int(value) or not 1 <= value <= num_clients:
        raise NotYet(f"It is a whole number of clients from 1 to {num_clients}, and it is {value:g}.")
    needed = int(value)
    reached = accuracy_together(needed)
    if reached < halfway - _CHANCE and needed < num_clients:
        raise NotYet(
            f"Not there yet: with the images of {_clients(needed)} it is {reached:.1%}, and halfway is {halfway:.1%}."
        )
    for fewer in range(1, needed):
        if accuracy_together(fewer) >= halfway + (_CHANCE if fewer == needed - 1 else 0):
            expected = " Half of the gap does not ask for half of the clients." if needed == num_clients // 2 else ""
            raise NotYet(
                f"{_clients(needed).capitalize()} do reach it. So do fewer: with the images of {_clients(fewer)} it is "
                f"{accuracy_together(fewer):.1%}, and halfway is {halfway:.1%}.{expected}"
            )
    return (
        f"The images of {_clients(needed)} reach {reached:.1%}, and those of all {num_clients} reach "
        f"{accuracy_together(num_clients):.1%}. If the curve were straight on its logarithmic axis, halfway would be at "
        f"{num_clients**0.5:.1f} clients, the square root of {num_clients}. Each number of clients was tried once, and "
        "another run moves it by a point or two: two neighbours that come as near are the same answer."
    )


def _clients(count: int) -> str:
    return "1 client" if count == 1 else f"{count} clients"


layer_weights = Exercise(
    name="layer_weights",
    kind="predict",
    difficulty="easy",
    minutes=3,
    hints=(
        "One filter looks at 3x3 pixels in each of the 3 colour channels, and gives one number.",
        "Count one filter first: its weights in all channels, and the one number that is added to its answer. Then all.",
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
    solution_code="""
def accuracy_per_class(labels, predictions, num_classes):
    images = np.bincount(labels, minlength=num_classes)
    recognised = np.bincount(labels[labels == predictions], minlength=num_classes)
    accuracies = np.full(num_classes, np.nan)
    accuracies[images > 0] = recognised[images > 0] / images[images > 0]
    return accuracies
""",
    test=_test_accuracy_per_class,
)

half_the_gap = Exercise(
    name="half_the_gap",
    kind="explore",
    difficulty="medium",
    minutes=7,
    hints=(
        "In the figure of section 8 find the height of `halfway`. Above which number of images does the line cross it?",
        "Between two numbers of clients that you know: is it enough with the one in the middle? Then look in the half "
        "that is left.",
    ),
    solution_code="""
    clients_needed = 1
    while accuracy_together(clients_needed) < halfway and clients_needed < num_clients:
        clients_needed += 1
    """,
    test=_test_half_the_gap,
)

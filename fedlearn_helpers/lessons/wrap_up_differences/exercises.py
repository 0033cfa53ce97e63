"""The exercises of the second wrap-up: five questions on shops that differ, and two bug hunts."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number


def _test_round_seconds(answer: Any, *, devices: pd.DataFrame) -> str:
    value = number(answer)
    computing = devices["steps"] * devices["seconds_per_step"]
    each = 2 * devices["seconds_one_way"] + computing
    known = [
        (float((devices["seconds_one_way"] + computing).max()), "The model travels twice: to the shop and back."),
        (float(computing.max()), "The model must also get there and back."),
        (float(each.mean()), "That is the mean. A round that waits for all ends with the last."),
        (float(each.min()), "That is the fastest shop. A round that waits for all ends with the last."),
        (float(each.sum()), "The shops work at the same time, not one after the other."),
    ]
    if math.isclose(value, each.max(), abs_tol=0.06):
        return f"Shop {each.idxmax()} sets the pace. The median shop is done after {each.median():.1f} s, and waits."
    for wrong, sentence in known:
        if math.isclose(value, wrong, abs_tol=0.06):
            raise NotYet(sentence)
    raise NotYet(f"{value:g} is not it. For each shop: two transfers, and its steps times its seconds a step.")


def accuracy_at(seconds: list[float], accuracies: list[float], moment: float) -> float:
    """Return the accuracy of the last round that has ended at a moment; 0 before the first has."""
    ended = [accuracy for end, accuracy in zip(seconds, accuracies, strict=True) if end <= moment]
    return ended[-1] if ended else 0.0


def _test_accuracy_at(answer: Callable[..., Any]) -> str:
    seconds, accuracies = [10.0, 20.0, 30.0], [0.3, 0.6, 0.5]

    def run(moment: float) -> float:
        return number(call(answer, seconds, accuracies, moment))

    cases = [
        (25, 0.6, "At 25 s the second round has ended and the third has not"),
        (20, 0.6, "A round that ends at 20 s has ended at 20 s"),
        (100, 0.5, "After the last round its model stays: it is the last accuracy, not the best"),
        (5, 0.0, "Before the first round has ended it is 0, by agreement"),
    ]
    for moment, right, sentence in cases:
        if not math.isclose(found := run(moment), right):
            if moment == 25 and math.isclose(found, 0.55):
                raise NotYet("Between two rounds the model does not change: do not draw a line between them.")
            raise NotYet(f"{sentence}: {right}, and yours says {found:g}.")
    return "Now rules can be compared at the same moment, whatever their rounds take."


def distance_between(first: list[int], second: list[int]) -> float:
    """Return the total variation distance between the label mixtures of two clients, from their class counts."""
    p = np.array(first) / np.sum(first)
    q = np.array(second) / np.sum(second)
    return float(np.abs(p - q).sum() / 2)


def _test_distance_between(answer: Callable[..., Any]) -> str:
    def run(first: Sequence[int], second: Sequence[int]) -> float:
        return number(call(answer, list(first), list(second)))

    if math.isclose(found := run([5, 5], [50, 50]), 45):
        raise NotYet("These two have the same mixture, 5 and 5, 50 and 50. Divide each by its own total first.")
    if not math.isclose(found, 0, abs_tol=1e-12):
        raise NotYet(f"5 and 5 images is the same mixture as 50 and 50: distance 0, and yours is {found:g}.")
    if math.isclose(found := run([10, 0], [0, 7]), 2):
        raise NotYet("The largest distance is 1. Half the sum of the absolute differences.")
    if not math.isclose(found, 1):
        raise NotYet(f"Two clients without a common class are at distance 1, and yours is {found:g}.")
    if not math.isclose(found := run([4, 4, 1, 1], [1, 1, 4, 4]), 0.6):
        raise NotYet(
            f"4, 4, 1, 1 and 1, 1, 4, 4: six of ten images would need another label, 0.6, and yours is {found:g}."
        )
    if run([1, 3], [3, 1]) < 0 or not math.isclose(run([9, 1, 0], [1, 9, 10]), run([1, 9, 10], [9, 1, 0])):
        raise NotYet("A distance is the same in both directions, and never negative.")
    return "It is computed from labels alone. Whether it tells whose model fails where, the next cells measure."


def _test_loses_most(answer: Any, *, shops: pd.DataFrame) -> str:
    value = number(answer)
    if value not in shops.index:
        raise NotYet(f"The answer must be the number of a shop, {shops.index[0]} to {shops.index[-1]}, got {value:g}.")
    alone, federated = shops["alone, at home"], shops["federated, at home"]
    loss = alone - federated
    shop = int(value)
    one_image = 1 / shops["images at home"]
    as_much = loss.index[loss.max() - loss < one_image]  # the largest loss, or less than one image from it
    if shop in as_much:
        others = ", ".join(str(other) for other in as_much if other != shop)
        return (
            f"{alone[shop]:.0%} with its own model, {federated[shop]:.0%} with the federated one. It has "
            f"{shops['images at home'][shop]} images at home: one of them is {one_image[shop]:.1%}."
            + (f" Within one image it is the same as at shop {others}." if others else "")
        )
    if value == federated.idxmin():
        raise NotYet("There the federated model is worst at home. But what would this shop have without it?")
    if value == alone.idxmax():
        raise NotYet("That is the shop whose own model is best at home. Which one loses most against its own model?")
    if value == (alone - shops["alone, all classes"]).idxmax():
        raise NotYet("That is what its *own* model loses on all classes. Here two models are compared, both at home.")
    raise NotYet(f"Shop {value:g} loses {100 * loss[shop]:.0f} points, and another one loses {100 * loss.max():.0f}.")


def silenced_classes(counts: list[list[int]], in_time: list[int], share: float) -> list[int]:
    """Return the classes of which the clients in time hold less than `share` of its images."""
    table = np.array(counts)
    total, heard = table.sum(axis=0), table[in_time].sum(axis=0)
    return [int(label) for label in np.flatnonzero((total > 0) & (heard < share * total))]


def _test_silenced_classes(answer: Callable[..., Any]) -> str:
    counts = [[90, 0, 10, 0], [10, 5, 0, 0], [0, 95, 90, 0]]

    def run(in_time: list[int], share: float) -> list[int]:
        result = call(answer, [row[:] for row in counts], in_time, share)
        try:
            return sorted(int(label) for label in result)
        except (TypeError, ValueError):
            raise NotYet("The answer must be a list of class numbers, such as [1, 2].") from None

    found = run([0, 1], 0.2)
    if found == [1, 2, 3]:
        raise NotYet("Nobody has images of class 3, so nobody is silenced there: leave out classes without images.")
    if found == [0]:
        raise NotYet("Those are the classes of which the clients in time hold enough. Which are nearly lost?")
    if found != [1, 2]:
        raise NotYet(
            "With clients 0 and 1 in time, they hold 5 of 100 images of class 1 and 10 of 100 of class 2, less than a "
            f"fifth: [1, 2], and yours is {found}."
        )
    if (found := run([0, 1], 0.1)) != [1]:
        raise NotYet(
            f"A tenth is not less than a tenth: of the images of class 2 they hold 10 of 100, so with a share of 0.1 only "
            f"class 1 is silenced, not {found}."
        )
    if (found := run([], 0.5)) != [0, 1, 2]:
        raise NotYet(f"If nobody is in time, all classes that somebody has are silenced, and yours says {found}.")
    return "Where devices and data go together, whoever drops devices drops classes. Count first; then measure what it costs."


def train_with_pull(model, batches: list, loss_of, rate: float, mu: float):
    """Take a step of FedProx on every batch: loss plus mu / 2 times the squared distance to the model received."""
    received = [parameter.detach().clone() for parameter in model.parameters()]
    for batch in batches:
        distance = sum(((new - old) ** 2).sum() for new, old in zip(model.parameters(), received, strict=True))
        loss = loss_of(model, batch) + mu / 2 * distance
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter -= rate * gradient
    return model


def _test_train_with_pull(answer: Callable[..., Any]) -> str:
    """The property, on F(w) = (w - 3)²/2 from w = 1 with rate 0.1: 1.2 after one step, whatever mu; then it counts."""

    def run(mu: float, steps: int) -> float:
        model = nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            model.weight.fill_(1.0)

        def loss_of(model: nn.Linear, batch: float) -> Tensor:
            return ((model.weight - batch) ** 2).sum() / 2

        result = call(answer, model, [3.0] * steps, loss_of, 0.1, mu)
        if not isinstance(result, nn.Module):
            raise NotYet(f"The function must return the model, and it returned a {type(result).__name__}.")
        if result is not model:
            raise NotYet("The function must train the model that it gets, and return it.")
        return float(result.weight.detach())

    where = "On the loss (w - 3)²/2, from w = 1, with rate 0.1"
    if not math.isclose(found := run(0, 2), 1.38, rel_tol=1e-5):
        raise NotYet(f"{where} and mu = 0 it is plain descent: 1.38 after two steps, and yours is at {found:.4g}.")
    if not math.isclose(found := run(2, 1), 1.2, rel_tol=1e-5):
        raise NotYet(
            f"{where} the first step leads to 1.2 whatever mu is, since at the start the distance is 0, and yours is at "
            f"{found:.4g}. Is the pull towards the model received, or towards zero?"
        )
    second = run(2, 2)
    if math.isclose(second, 1.38, rel_tol=1e-5):
        raise NotYet(
            f"{where} and mu = 2, the second step must feel the pull, and yours is at 1.38 as with mu = 0. Does "
            "`received` move with the model? Print it after a step."
        )
    if math.isclose(second, 1.30, rel_tol=1e-5):
        raise NotYet("The pull is twice as strong as it should be: FedProx has mu / 2 times the squared distance.")
    if not math.isclose(second, 1.34, rel_tol=1e-5):
        raise NotYet(f"{where} and mu = 2 two steps lead to 1.34, and yours to {second:.4g}.")
    if not math.isclose(found := run(2, 400), (3 + 2) / 3, rel_tol=1e-3):
        raise NotYet(f"{where} and mu = 2 many steps come to rest at (3 + 2) / 3 = 1.667, and yours at {found:.4g}.")
    return (
        "A list of parameters is a list of the model's own tensors: it moves with them, and the distance to oneself is "
        "0. The first step cannot tell the two apart, so a test of one step passes."
    )


def gains_at_home(accuracy, alone: list, together, homes: list, test) -> list:
    """Return for each shop its accuracy at home with the federated model, minus that with its own model."""
    return [accuracy(together, home) - accuracy(own, home) for own, home in zip(alone, homes, strict=True)]


def _test_gains_at_home(answer: Callable[..., Any]) -> str:
    """The property: both models on the same images, at home; so a model gains nothing against itself."""
    known = {
        ("own 0", "home 0"): 0.875,
        ("own 1", "home 1"): 0.75,
        ("together", "home 0"): 0.75,
        ("together", "home 1"): 0.875,
        ("own 0", "test"): 0.25,
        ("own 1", "test"): 0.375,
        ("together", "test"): 0.625,
    }

    def accuracy(model: Any, images: Any) -> float:
        if (model, images) not in known:
            raise NotYet(f"Nobody measures {model!r} on {images!r} here: call accuracy(model, images), in this order.")
        return known[model, images]

    def run(alone: list[str]) -> list[float]:
        result = call(answer, accuracy, alone, "together", ["home 0", "home 1"], "test")
        try:
            return [float(gain) for gain in result]
        except (TypeError, ValueError):
            raise NotYet("The answer must be a list of gains, one per shop.") from None

    against_itself = run(["together", "together"])
    found = run(["own 0", "own 1"])
    if found == [-0.25, -0.125]:
        raise NotYet(
            "A model compared with itself must gain 0, and here it gains "
            f"{' and '.join(f'{gain:+.3f}' for gain in against_itself)}: the two are measured on different images."
        )
    if found == [0.375, 0.25]:
        raise NotYet(
            "Both models on the test images: that is a fair comparison, on all classes. Asked is the one at home."
        )
    if found == [0.125, -0.125]:
        raise NotYet("The sign is wrong way round: a gain is positive where the federated model is better.")
    if found != [-0.125, 0.125]:
        raise NotYet(f"At home they have 0.875 and 0.75 alone, 0.75 and 0.875 together: -0.125 and 0.125, not {found}.")
    return (
        "Same images, two models. A control would have found it: a model that is compared with itself gains nothing. "
        "On the test images (all classes) the comparison is fair, too, and answers another question."
    )


round_seconds = Exercise(
    name="round_seconds",
    kind="predict",
    difficulty="easy",
    minutes=3,
    hints=(
        "Each shop gets the model, takes its steps, and sends the model back. The round ends with the last of them.",
        "All shops work at the same time. How long is each one busy, and for which one does the server wait?",
    ),
    solution_code="""
        prediction = (
            2 * devices["seconds_one_way"] + devices["steps"] * devices["seconds_per_step"]
        ).max()
    """,
    test=_test_round_seconds,
)

at_a_moment = Exercise(
    name="at_a_moment",
    kind="code",
    difficulty="easy",
    minutes=5,
    hints=(
        "Which rounds have ended at the moment? The last of them counts.",
        "Rounds end at 10, 20 and 30 s. What should come out at 25 s, at 20 s, at 5 s?",
    ),
    solution_code=accuracy_at,
    test=_test_accuracy_at,
)

two_clients = Exercise(
    name="two_clients",
    kind="code",
    difficulty="easy",
    minutes=5,
    hints=(
        "A shop with 10 images and one with 100 may have the same mixture. What must be divided by what?",
        "Two shops without a common class are at distance 1. What does your formula say there?",
    ),
    solution_code=distance_between,
    test=_test_distance_between,
)

loses_most = Exercise(
    name="loses_most",
    kind="explore",
    difficulty="easy",
    minutes=4,
    hints=(
        "Which two columns of `shops` were measured on the same images, with different models?",
        "Subtract one from the other. `idxmax` of a column is the row of its largest value.",
    ),
    solution_code="""
        shop = (shops["alone, at home"] - shops["federated, at home"]).idxmax()
    """,
    test=_test_loses_most,
)

silenced = Exercise(
    name="silenced",
    kind="code",
    difficulty="medium",
    minutes=7,
    hints=(
        "Add up the images of each class over all clients, and over those in time.",
        "Rows are shops, columns are classes. Along which axis do you add? And what is 0 of 0 images?",
    ),
    solution_code=silenced_classes,
    test=_test_silenced_classes,
)

no_pull = Exercise(
    name="no_pull",
    kind="code",
    difficulty="medium",
    minutes=9,
    hints=(
        "Print the distance inside the loop. Why is it 0 after a step?",
        "What does the list hold after a step: the weights that the shop received, or those that it has now?",
    ),
    solution_code=train_with_pull,
    test=_test_train_with_pull,
)

other_images = Exercise(
    name="other_images",
    kind="code",
    difficulty="easy",
    minutes=7,
    hints=(
        "What should a right function say about a shop whose own model is the federated one?",
        "Of each of the two accuracies: on whose images is it measured?",
    ),
    solution_code=gains_at_home,
    test=_test_gains_at_home,
)

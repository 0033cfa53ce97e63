"""The exercises of the second wrap-up: five questions on shops that differ, and two pulls that are wrong."""

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
    each = 2 * devices["seconds_per_transfer"] + computing
    known = [
        (float((devices["seconds_per_transfer"] + computing).max()), "The model travels twice: to the shop and back."),
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
        (5, 0.0, "Before the first round has ended there is nothing: 0"),
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
    return "It tells from labels alone who will disagree, before anything is trained."


def _test_promises_most(answer: Any, *, shops: pd.DataFrame) -> str:
    value = number(answer)
    gap = shops["alone, at home"] - shops["alone, all classes"]
    if value not in shops.index:
        raise NotYet(f"The answer must be the number of a shop, {shops.index[0]} to {shops.index[-1]}, got {value:g}.")
    chosen = shops.loc[int(value)]
    if gap[int(value)] == gap.max():
        return (
            f"Its model alone has {chosen['alone, at home']:.0%} at home and {chosen['alone, all classes']:.0%} on all "
            "classes. An accuracy without a word on whose images were used says little."
        )
    if value == shops["alone, at home"].idxmax():
        raise NotYet("That is the shop with the best accuracy at home. Which one loses most on all classes?")
    if value == shops["alone, all classes"].idxmin():
        raise NotYet("That is the worst on all classes. The question is the difference to its accuracy at home.")
    raise NotYet(
        f"Shop {value:g} loses {100 * gap[int(value)]:.0f} points from home to all classes, and another one loses "
        f"{100 * gap.max():.0f}."
    )


def silenced_classes(counts: list[list[int]], in_time: list[int], share: float) -> list[int]:
    """Return the classes of which the clients in time hold less than `share` of all clients' images."""
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
        raise NotYet(f"A tenth is not less than a tenth: with a share of 0.1 only class 1 is silenced, not {found}.")
    if (found := run([], 0.5)) != [0, 1, 2]:
        raise NotYet(f"If nobody is in time, all classes that somebody has are silenced, and yours says {found}.")
    return "A deadline chooses classes where devices and data go together. Count before you drop anybody."


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


def proximal_term(model, received: list, mu: float):
    """Return mu / 2 times the squared distance between a model's parameters and those it received."""
    return mu / 2 * sum(((new - old) ** 2).sum() for new, old in zip(model.parameters(), received, strict=True))


def _test_proximal_term(answer: Callable[..., Any]) -> str:
    """The property: its gradient is mu times (w - w_received), at any distance."""

    def run(distance: float, mu: float) -> tuple[float, float]:
        model = nn.Linear(2, 1)
        received = [parameter.detach().clone() for parameter in model.parameters()]
        with torch.no_grad():
            model.weight.add_(distance * torch.tensor([[0.6, 0.0]]))
            model.bias.add_(distance * 0.8)
        value = call(answer, model, received, mu)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise NotYet("The term must be one number, a tensor, so that it can be added to the loss.")
        if not value.requires_grad:
            raise NotYet("The term has no gradient: it must be computed from model.parameters(), with tensors alone.")
        gradients = torch.autograd.grad(value, list(model.parameters()))
        return float(value.detach()), float(torch.cat([gradient.flatten() for gradient in gradients]).norm())

    value, near = run(0.5, 2.0)
    _, far = run(5.0, 2.0)
    if math.isclose(near, far, rel_tol=1e-3):
        raise NotYet(
            f"At distance 0.5 and at distance 5 your term pulls with the same strength, {near:.3g}. The square is "
            "missing: with it, the pull grows with the distance."
        )
    if math.isclose(near, 2.0, rel_tol=1e-3):
        raise NotYet("The pull is twice too strong: mu / 2 times the squared distance.")
    if not math.isclose(near, 1.0, rel_tol=1e-3) or not math.isclose(far, 10.0, rel_tol=1e-3):
        raise NotYet(
            f"With mu = 2 the pull at distance 0.5 must be 1 and at 5 it must be 10, not {near:.3g} and {far:.3g}."
        )
    if not math.isclose(value, 0.25, rel_tol=1e-3):
        raise NotYet(f"With mu = 2, at distance 0.5, the term is 2 / 2 · 0.25 = 0.25, and yours is {value:.3g}.")
    if run(0.5, 0.0)[1] > 1e-9:
        raise NotYet("With mu = 0 there must be no pull at all.")
    return (
        "Its gradient is mu times the difference: nothing at the start, more the farther away. Without the square "
        "nobody leaves the start whose gradient is weaker than mu / 2, and those that do leave are pulled no harder."
    )


round_seconds = Exercise(
    name="round_seconds",
    kind="predict",
    difficulty="easy",
    minutes=3,
    hints=(
        "Each shop gets the model, takes its steps, and sends the model back. The round ends with the last of them.",
        "2 * seconds_per_transfer + steps * seconds_per_step, and of these the largest.",
    ),
    solution_code="""
        prediction = (
            2 * devices["seconds_per_transfer"] + devices["steps"] * devices["seconds_per_step"]
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
        "[a for end, a in zip(seconds, accuracies) if end <= moment] are the accuracies so far.",
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
        "Turn counts into shares first: divide each by its own sum.",
        "Half the sum of the absolute differences of the shares.",
    ),
    solution_code=distance_between,
    test=_test_distance_between,
)

promises_most = Exercise(
    name="promises_most",
    kind="explore",
    difficulty="easy",
    minutes=3,
    hints=(
        "Subtract one column of `shops` from another.",
        'shops["alone, at home"] - shops["alone, all classes"], and idxmax.',
    ),
    solution_code="""
        shop = (shops["alone, at home"] - shops["alone, all classes"]).idxmax()
    """,
    test=_test_promises_most,
)

silenced = Exercise(
    name="silenced",
    kind="code",
    difficulty="medium",
    minutes=9,
    hints=(
        "Add up the images of each class over all clients, and over those in time.",
        "np.array(counts)[in_time].sum(axis=0) are the images of each class that are heard.",
    ),
    solution_code=silenced_classes,
    test=_test_silenced_classes,
)

no_pull = Exercise(
    name="no_pull",
    kind="code",
    difficulty="medium",
    minutes=10,
    hints=(
        "Print the distance inside the loop. Why is it 0 after a step?",
        "parameter.detach().clone() is a copy that stays where it is.",
    ),
    solution_code=train_with_pull,
    test=_test_train_with_pull,
)

constant_pull = Exercise(
    name="constant_pull",
    kind="code",
    difficulty="medium",
    minutes=8,
    hints=(
        "Compare the pulls that were printed with mu times the distance.",
        "FedProx adds mu / 2 times the *squared* distance: the sum of all squared differences, without a root.",
    ),
    solution_code=proximal_term,
    test=_test_proximal_term,
)

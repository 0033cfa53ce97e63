"""The exercises of the first wrap-up: five questions on a new federation, and two that run and are wrong."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number

_TOLERANCE = 0.01
_GUESS = 0.1  # how far a share that is guessed may be off


def _test_largest_share(answer: Any, *, sizes: Sequence[int]) -> str:
    value, right = number(answer), max(sizes) / sum(sizes)
    if value > 1:
        raise NotYet(f"{value:g} is above 1. A share is between 0 and 1, and all shares together are 1.")
    if abs(value - right) <= _GUESS:
        return (
            f"{max(sizes):,} of {sum(sizes):,} training images: {right:.1%} of every average. The smallest shop has "
            f"{min(sizes) / sum(sizes):.1%}. Whoever holds most of the data speaks loudest."
        )
    if abs(value - 1 / len(sizes)) <= _TOLERANCE:
        raise NotYet("That would be so if every shop counted the same. FedAvg weighs a client by its examples.")
    if abs(value - min(sizes) / sum(sizes)) <= _TOLERANCE:
        raise NotYet("That is the smallest shop. Which shop has most training images?")
    raise NotYet(
        f"{value:g} is off by more than {_GUESS:g}. The share is n_k / n: how many images has the largest shop, and how many have all?"
    )


def average_present(states: list[dict | None], examples: list[int]) -> dict:
    """Average the models that came back, weighted by examples; a client that is away has None in its place."""
    present = [(state, count) for state, count in zip(states, examples, strict=True) if state is not None]
    if not present:
        return {}
    total = sum(count for _, count in present)
    return {name: sum(count / total * state[name] for state, count in present) for name in present[0][0]}


def _test_average_present(answer: Callable[..., Any]) -> str:
    def state(value: float) -> dict[str, torch.Tensor]:
        return {"weight": torch.tensor([value, -value]), "bias": torch.tensor(10 * value)}

    def weight(states: Sequence[Any], examples: Sequence[int]) -> float:
        result = call(answer, states, examples)
        if not isinstance(result, Mapping) or set(result) != {"weight", "bias"}:
            raise NotYet("The average must be a dict with the same names as the states, here 'weight' and 'bias'.")
        return float(result["weight"][0])

    everybody = weight([state(1.0), state(3.0)], [30, 10])
    if math.isclose(everybody, 2.0):
        raise NotYet("With 30 and 10 examples the first client counts three times as much: weigh by examples.")
    if not math.isclose(everybody, 1.5, rel_tol=1e-5):
        raise NotYet(
            f"Models with weight 1 (30 examples) and 3 (10 examples) average to 1.5, and yours is {everybody:g}."
        )
    away = weight([state(1.0), None, state(3.0)], [30, 60, 10])
    if math.isclose(away, 0.6, rel_tol=1e-5):
        raise NotYet(
            "With the second of three clients away, your average of 1 and 3 is 0.6, less than both: the weights must "
            "add up to 1 over those that came back. Divide by their examples."
        )
    if not math.isclose(away, 1.5, rel_tol=1e-5):
        raise NotYet(
            f"With the second of three clients away it must be 1.5 again, whatever its examples, not {away:g}."
        )
    if call(answer, [None, None], [30, 10]) != {}:
        raise NotYet(
            "If nobody came back there is no average. Return an empty dict then, {}, so that the server can wait."
        )
    return "The weights add up to 1 over those that came back. That is how FedAvg treats clients that are away."


def _test_size_and_gain(answer: Any, *, shops: pd.DataFrame) -> str:
    value = number(answer)
    sizes, gains = np.log(shops["images"]), shops["federated"] - shops["alone"]

    def correlation(first: Any, second: Any) -> float:
        with np.errstate(all="ignore"):
            return float(np.corrcoef(first, second)[0, 1])

    right = correlation(sizes, gains)
    if np.isclose(value, right, atol=_TOLERANCE, equal_nan=True):
        largest, smallest = shops["images"].idxmax(), shops["images"].idxmin()
        return (
            f"{right:.2f}. The smallest shop gains {100 * gains[smallest]:+.1f} points, the largest "
            f"{100 * gains[largest]:+.1f}. All shops get the same model and are measured on the same images, so the "
            "gain is one number minus what a shop reaches alone: the better alone, the less is left to gain. What a "
            "shop gives to the others is another question, which this table does not answer."
        )
    if np.isclose(value, -right, atol=_TOLERANCE):
        raise NotYet("The sign is the wrong way round. The gain is federated minus alone.")
    if np.isclose(value, correlation(shops["images"], gains), atol=_TOLERANCE):
        raise NotYet("That is the correlation with the images. The question has their logarithm: np.log.")
    raise NotYet(f"{value:g} is not it. np.corrcoef of two columns is a 2 x 2 table; the number is off its diagonal.")


def first_to_stay_above(curve: list[float], line: float) -> int:
    """Return the first round, counted from 1, from which the curve stays above the line; 0 if there is none."""
    below = [number for number, value in enumerate(curve, 1) if not value > line]
    first = below[-1] + 1 if below else 1
    return first if first <= len(curve) else 0


def _test_first_to_stay_above(answer: Callable[..., Any]) -> str:
    def run(curve: Sequence[float], line: float = 0.65) -> float:
        return number(call(answer, curve, line))

    jumps = run([0.5, 0.7, 0.6, 0.8, 0.9])
    known = {
        2.0: "That curve is above 0.65 in round 2, and below it again in round 3: it does not stay.",
        3.0: "Rounds are counted from 1: the value at index 3 belongs to round 4.",
    }
    if jumps in known:
        raise NotYet(known[jumps])
    if jumps != 4:
        raise NotYet(f"0.5, 0.7, 0.6, 0.8, 0.9 stays above 0.65 from round 4 on, and yours says {jumps:g}.")
    cases = [
        ([0.7, 0.8], 1, "A curve that is above from the start stays above from round 1 on"),
        ([0.7, 0.6], 0, "A curve that ends below the line does not stay above it: return 0"),
        ([0.5, 0.65], 0, "A curve that only reaches the line is not above it: return 0"),
        ([0.5, 0.7], 2, "A curve that is above in the last round alone stays above from there on"),
    ]
    for curve, right, sentence in cases:
        if (found := run(curve)) != right:
            raise NotYet(f"{sentence}. For {curve} and 0.65 it must be {right}, and yours says {found:g}.")
    return "One crossing may be luck; to stay above is more. Use it below, on this federation."


def rounds_for(megabytes: float, model_megabytes: float, clients: int, share: float) -> int:
    """Return how many whole rounds can be paid: a share of the clients trains, all of them measure the new model."""
    trained = int(clients * share)
    return int(megabytes // (model_megabytes * (2 * trained + clients)))


def _test_rounds_for(answer: Callable[..., Any]) -> str:
    def run(*arguments: float) -> float:
        return number(call(answer, *arguments))

    both = (
        "That is as if all clients trained, and sent a model back when they measure it. Only a share of them trains, "
        "and who measures sends numbers."
    )
    found = run(65, 0.5, 10, 0.5)  # 5 down, 5 up, 10 down to be measured: 10 MB a round
    known = {
        13.0: "That is training alone. The server also sends the new model to all clients to be measured.",
        26.0: "That is one direction of training alone. Count the models that come back, and those sent to be measured.",
        4.0: "That is 15 MB a round. Do all clients train? Only a share of them does. Do they send a model back when "
        "they measure it? They send numbers.",
        3.25: both,
        3.0: both,
        6.5: "Half a round cannot be paid: round down to whole rounds.",
        7.0: "Seven rounds cost 70 MB, more than there is: round down.",
        8.0: "Do those that trained not send their model back, too? It is 2 models for each that trains.",
    }
    if found in known:
        raise NotYet(known[found])
    if found != 6:
        raise NotYet(f"65 MB, models of 0.5 MB, 10 clients of which half train: 6 rounds of 10 MB, not {found:g}.")
    if (found := run(30, 1, 10, 1.0)) != 1:
        raise NotYet(f"30 MB pay exactly one round in which 10 clients train with 1 MB each, and yours says {found:g}.")
    if (found := run(29, 1, 10, 1.0)) != 0:
        raise NotYet(f"29 MB do not pay a round of 30 MB: 0 rounds, and yours says {found:g}.")
    if (found := run(28, 1, 10, 0.25)) != 2:
        raise NotYet(
            "A share of 0.25 of ten clients is 2.5, so two train. With models of 1 MB a round costs 14 MB then, and 28 "
            f"MB pay two rounds; yours says {found:g}."
        )
    return "Bytes buy rounds; a smaller share of clients buys more of them. Notebook 07 makes each byte go further."


def _test_reported_loss(answer: Any, *, log: pd.DataFrame, replies: pd.DataFrame) -> str:
    """The log's `train_loss` is the plain mean over the shops; the other two are right."""
    value, logged = number(answer), log.iloc[-1]

    def same(other: float) -> bool:
        return math.isclose(value, other, abs_tol=_TOLERANCE / 10)

    images = {"train_loss": replies["training images"]}
    right = {
        name: float(np.average(replies[name], weights=images.get(name, replies["validation images"]))) for name in log
    }
    if same(right["train_loss"]):
        return (
            f"train_loss: the mean over all training images is {right['train_loss']:.3f}, and the log says "
            f"{logged['train_loss']:.3f}, the mean over the shops. There each shop counts the same, so the few images of "
            "small shops weigh too much. With shops of equal size both means are equal, and the mistake cannot be seen."
        )
    if same(logged["train_loss"]):
        raise NotYet("That is what the log says. Over what is it the mean: over images, or over shops?")
    for name in ("evaluate_loss", "evaluate_accuracy"):
        if same(right[name]):
            raise NotYet(
                f"That is the mean over all validation images, and {name} in the log is the same: it is right."
            )
        if same(float(replies[name].mean())):
            raise NotYet(f"That is the mean of {name} over the shops. Over images each shop counts by their number.")
    if same(float(np.average(replies["train_loss"], weights=replies["validation images"]))):
        raise NotYet("Training losses are means over training images. You weighed them by validation images.")
    raise NotYet(
        f"{value:g} is none of the means. One of them is the sum of images times value, over the sum of images."
    )


def copy_model(source: torch.nn.Module, target: torch.nn.Module) -> torch.nn.Module:
    """Give `target` all that `source` needs to answer as it does, parameters and buffers; return `target`."""
    target.load_state_dict(source.state_dict())
    return target


def _test_copy_model(answer: Callable[..., Any]) -> str:
    """The property: both give the same outputs, training or not, and what happens to one leaves the other alone."""

    def new(seed: int) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            model.train()(5 + 2 * torch.randn(16, 3, generator=generator))
        return model

    source, target = new(1), new(2)
    before = copy.deepcopy(source.state_dict())
    result = call(answer, source, target)
    if result is source:
        raise NotYet("The function must change target and return it, and it returned source.")
    if not isinstance(result, nn.Module):
        raise NotYet(f"The function must return target, a model, and it returned a {type(result).__name__}.")
    if any(not torch.equal(tensor, before[name]) for name, tensor in source.state_dict().items()):
        raise NotYet("source has changed. Everything goes from source to target.")
    same = {name: torch.equal(tensor, source.state_dict()[name]) for name, tensor in result.state_dict().items()}
    parameters = {name for name, _ in source.named_parameters()}
    if not all(same[name] for name in parameters):
        raise NotYet("After the copy some parameters of the two models differ.")
    if not all(same.values()):
        missing = ", ".join(name for name, equal in same.items() if not equal)
        raise NotYet(
            f"All parameters are equal, and {missing} are not. They are buffers: model.parameters() does not have them, "
            "model.state_dict() does."
        )
    with torch.no_grad():
        next(iter(result.parameters())).add_(1.0)
    if any(not torch.equal(tensor, before[name]) for name, tensor in source.state_dict().items()):
        raise NotYet("Training target changes source, too: both hold the same tensors. Copy the numbers.")
    return (
        "Parameters are learned by gradient steps, buffers by looking at data, and both are the model. In the loop "
        "above the server was measured with running means of 0 and variances of 1, those of a new model: nobody had "
        "given it the shops'."
    )


largest_share = Exercise(
    name="largest_share",
    kind="predict",
    difficulty="easy",
    minutes=2,
    hints=(
        "FedAvg weighs each model by the training examples of its client.",
        "The weight of client k is n_k / n. sizes holds the n_k.",
    ),
    solution_code="prediction = max(sizes) / sum(sizes)",
    test=_test_largest_share,
)

present = Exercise(
    name="present",
    kind="code",
    difficulty="medium",
    minutes=8,
    hints=(
        "First keep the pairs (state, examples) whose state is not None.",
        "Divide by the sum of the examples of those that are left, not of all.",
    ),
    solution_code=average_present,
    test=_test_average_present,
)

size_and_gain = Exercise(
    name="size_and_gain",
    kind="explore",
    difficulty="medium",
    minutes=5,
    hints=(
        'The gain is shops["federated"] - shops["alone"].',
        "np.corrcoef(a, b)[0, 1] is the correlation coefficient of two columns.",
    ),
    solution_code="""
        gains = shops["federated"] - shops["alone"]
        correlation = np.corrcoef(np.log(shops["images"]), gains)[0, 1]
    """,
    test=_test_size_and_gain,
)

stay_above = Exercise(
    name="stay_above",
    kind="code",
    difficulty="medium",
    minutes=8,
    hints=(
        "Look from the end: the last round that is not above the line decides.",
        "Two cases are easily forgotten: the last round of all is not above, and every round is.",
    ),
    solution_code=first_to_stay_above,
    test=_test_first_to_stay_above,
)

budget = Exercise(
    name="budget",
    kind="code",
    difficulty="medium",
    minutes=6,
    hints=(
        "A client that trains costs two models a round, a client that measures one.",
        "int(clients * share) clients train, all of them measure. // divides and rounds down.",
    ),
    solution_code=rounds_for,
    test=_test_rounds_for,
)

reported_loss = Exercise(
    name="reported_loss",
    kind="explore",
    difficulty="medium",
    minutes=6,
    hints=(
        "A reply is a mean over the shop's own images. In a mean over all images it counts by their number.",
        "Weigh each column of replies by the images that it was measured on. Which of the log's numbers differs?",
    ),
    solution_code="""
        images = replies["training images"]
        right_mean = (images * replies["train_loss"]).sum() / images.sum()
    """,
    test=_test_reported_loss,
)

whole_model = Exercise(
    name="whole_model",
    kind="code",
    difficulty="hard",
    minutes=12,
    hints=(
        "Under which names do the states of average and server differ? What have these names in common?",
        "Running means and variances are buffers, not parameters: no gradient step learns them, and model.parameters() "
        "does not have them.",
    ),
    solution_code=copy_model,
    test=_test_copy_model,
)

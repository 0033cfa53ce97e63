"""The exercises of notebook 04."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number

LOWEST_ALPHA, HIGHEST_ALPHA = 0.05, 1000.0
_TOLERANCE = 0.1


def _test_three_classes_distance(answer: Any) -> str:
    mistakes = {
        0.3: "That is what the client has in common with all clients: a tenth at each of its three classes. The distance is the rest.",
        1.4: "That is the sum of the absolute differences. Total variation is half of it.",
        0.35: "Either take all ten classes and halve the sum, or take only those that the client has more of and halve nothing.",
        0.5: "That is its most frequent class alone. It has more of the other two than all clients have, too.",
        0.6: "That is the share of its most frequent class. Compare each share with that of all clients.",
        0.8: "That is a client with two classes, half each. Look at all three.",
        0.9: "That is a client with one class. Three classes are nearer to the mixture of all clients.",
        1.0: "Distance 1 means nothing in common. But three tenths of all clients' images are of these classes, too.",
    }
    value = round(number(answer), 9)
    if value in mistakes:
        raise NotYet(mistakes[value])
    if not 0 <= value <= 1:
        raise NotYet(f"The distance is a number from 0 to 1, a share and not percent, and your answer is {value:g}.")
    if value != 0.7:
        raise NotYet(
            f"{value:g} is not it. Write down ten shares for the client, the zeros as well, and ten for all clients; "
            "then the formula of section 3."
        )
    return (
        "Seven tenths of its images would need another label before its mixture were that of all clients. Of classes "
        "that it has too much of only the sum counts: with 40, 40 and 20 % it is the same distance."
    )


def deal_shards(labels: np.ndarray, num_clients: int, shards_each: int, seed: int) -> list[np.ndarray]:
    """Sort the examples by class, cut them into equal shards, and deal each client some of them at random."""
    by_class = np.argsort(labels, kind="stable")
    shards = np.array_split(by_class, num_clients * shards_each)
    order = np.random.default_rng(seed).permutation(len(shards))
    return [np.concatenate([shards[i] for i in dealt]) for dealt in np.split(order, num_clients)]


def _test_deal_shards(answer: Callable[..., Any]) -> str:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(6), 20))  # 120 examples, six classes

    def run(seed: int) -> list[np.ndarray]:
        parts = call(answer, labels.copy(), 6, 2, seed)
        if not isinstance(parts, list | tuple) or len(parts) != 6:
            got = f"{len(parts)} parts" if isinstance(parts, list | tuple) else f"a {type(parts).__name__}"
            raise NotYet(f"For six clients the function must return a list of six arrays, and it returned {got}.")
        try:
            arrays = [np.asarray(part) for part in parts]
        except ValueError:
            raise NotYet("A client's part must be one array: np.concatenate joins its shards.") from None
        if any(part.ndim != 1 for part in arrays):
            raise NotYet("A client's part must be one flat array of indices: np.concatenate joins its shards.")
        return arrays

    parts = run(seed=0)
    everything = np.concatenate(parts)
    if set(everything.tolist()) == set(range(6)):
        raise NotYet("These are labels. A part holds the indices of a client's examples: np.argsort gives them.")
    if len(everything) > len(set(everything.tolist())):
        raise NotYet("Some example is dealt twice. A shuffled deck has every shard once: permutation, not choice.")
    if sorted(everything.tolist()) != list(range(120)):
        raise NotYet(f"All 120 examples must be dealt, and {len(everything)} are.")
    if {len(part) for part in parts} != {20}:
        sizes = ", ".join(str(len(part)) for part in parts)
        raise NotYet(f"With 120 examples six clients get 20 each, and yours get {sizes}.")
    kinds = [len(np.unique(labels[part])) for part in parts]
    if max(kinds) > 2:
        raise NotYet(
            f"Two shards of one class each are at most two classes, and a client of yours has {max(kinds)}. "
            "Sort the examples by class before you cut."
        )
    deals = [run(seed) for seed in (0, 1, 2, 3)]
    if all(max(len(np.unique(labels[part])) for part in parts) == 1 for parts in deals):
        raise NotYet("Every client got neighbouring shards, which have the same class. Shuffle the shards, then deal.")
    if len({tuple(np.sort(parts[0]).tolist()) for parts in deals}) == 1:
        raise NotYet("Seeds 0 to 3 give the same deal. Let np.random.default_rng(seed) shuffle the shards.")
    return "The split of McMahan et al. (2017): most clients have two classes, some have two shards of the same one."


def _test_twice_chance(answer: Any, *, mean_distance: Callable[[float], float], goal: float) -> str:
    alpha = number(answer)
    if not LOWEST_ALPHA <= alpha <= HIGHEST_ALPHA:
        raise NotYet(f"The answer must be from {LOWEST_ALPHA:g} to {HIGHEST_ALPHA:g}, and it is {alpha:g}.")
    mine = mean_distance(alpha)
    said = f"The goal is {goal:.3f}, and alpha = {alpha:g} gives {mine:.3f}"
    if mine > (1 + _TOLERANCE) * goal:
        raise NotYet(f"{said}: still too different. A larger alpha makes clients more alike.")
    if mine < (1 - _TOLERANCE) * goal:
        raise NotYet(f"{said}: already too alike. A smaller alpha makes clients more different.")
    return (
        f"{said}. With a larger alpha the differences that you made are soon no larger than those of chance: a study of "
        "label skew says little there. If clients have more images, chance makes them less different, and the limit is lower."
    )


three_classes_distance = Exercise(
    name="three_classes_distance",
    kind="predict",
    difficulty="easy",
    minutes=4,
    hints=(
        "Write both mixtures down as ten numbers: the client's has three that are not 0.",
        "Take the difference at each of the ten classes, without its sign. Which classes does one forget easily?",
    ),
    solution_code="prediction = (abs(0.6 - 0.1) + 2 * abs(0.2 - 0.1) + 7 * abs(0 - 0.1)) / 2",
    test=_test_three_classes_distance,
)

shard_split = Exercise(
    name="shard_split",
    kind="code",
    difficulty="medium",
    minutes=12,
    hints=(
        "np.argsort(labels) lists the examples class by class; np.array_split cuts a list into so many pieces.",
        "Shuffle the numbers of the shards, give each client shards_each of them, and join its shards.",
    ),
    solution_code=deal_shards,
    test=_test_deal_shards,
)

twice_chance = Exercise(
    name="twice_chance",
    kind="explore",
    difficulty="easy",
    minutes=4,
    hints=(
        "Look at the figure of section 3: how high is twice the dashed line, and where is the curve there?",
        "Try some alphas, each a few times the one before: how does the distance follow?",
    ),
    solution_code="""
        alphas = np.geomspace(0.05, 1000, 60)
        twice_alpha = min(alphas, key=lambda a: abs(mean_distance(a) - goal))
    """,
    test=_test_twice_chance,
)

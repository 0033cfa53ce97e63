"""The exercises of notebook 08."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number
from fedlearn_helpers.privacy.accountant import epsilon

_MODULUS = 2**32
_FLOAT32 = 1e-5  # as far as a number with one decimal may be off
_MOST_AT_ENDS = 0.1  # share of evenly random uint32 whose first byte is 0 or 255: about 0.008
_STEP = 2.0**-16  # between two numbers that the masked sum can tell apart


def _numbers(result: Any, count: int, what: str) -> np.ndarray:
    """Return a learner's result as floats, or say that it is none."""
    try:
        values = np.asarray(result, dtype=float)
    except (TypeError, ValueError):
        raise NotYet(f"{what} must be an array of numbers.") from None
    if values.shape != (count,):
        raise NotYet(f"{what} must have {count} numbers, and its shape is {values.shape}.")
    return values


def _test_clip(answer: Callable[..., Any]) -> str:
    def run(update: list[float], clip_norm: float) -> np.ndarray:
        given = np.array(update)
        result = _numbers(call(answer, given, clip_norm), len(update), "What is returned")
        if given.tolist() != update:
            raise NotYet("The function must leave the update that it gets as it is: return a new array.")
        return result

    clipped = run([3.0, -4.0], 1.0)
    if np.allclose(clipped, [1.0, -1.0]):
        raise NotYet(
            "Each number is clipped by itself: of (3, -4) you keep (1, -1), whose norm is 1.4 and which points "
            "elsewhere. Clip the norm of the whole update."
        )
    if np.allclose(clipped, [3 / 7, -4 / 7]):
        raise NotYet("You divide by the sum of the magnitudes. The norm is the root of the sum of the squares.")
    if np.allclose(clipped, [3.0, -4.0]):
        raise NotYet("(3, -4) has the norm 5 and comes out as it is, though clip_norm is 1.")
    if not np.allclose(clipped, [0.6, -0.8]):
        raise NotYet(f"(3, -4) with clip_norm 1 must become (0.6, -0.8), and you return {clipped.round(3).tolist()}.")
    clipped = run([3.0, -4.0], 2.0)
    if np.allclose(clipped, [0.6, -0.8]):
        raise NotYet("With clip_norm 2 the norm must become 2, and yours is 1 again. Where is clip_norm used?")
    if not np.allclose(clipped, [1.2, -1.6]):
        raise NotYet(f"(3, -4) with clip_norm 2 must become (1.2, -1.6), and you return {clipped.round(3).tolist()}.")
    clipped = run([0.9, 0.9], 1.0)
    if np.allclose(clipped, [0.9, 0.9]):
        raise NotYet(
            "(0.9, 0.9) has the norm 1.27 and comes out as it is, with clip_norm 1. Compare the norm, not each number."
        )
    if not np.allclose(clipped, [0.5**0.5, 0.5**0.5]):
        raise NotYet(f"(0.9, 0.9) with clip_norm 1 must become (0.707, 0.707), you return {clipped.round(3).tolist()}.")
    tiny = run([0.3, -0.4], 0.1)
    if not np.allclose(tiny, [0.06, -0.08]):
        raise NotYet(
            f"(0.3, -0.4) has the norm 0.5, above clip_norm 0.1, and must become (0.06, -0.08); you return "
            f"{tiny.round(3).tolist()}. Compare the norm with clip_norm."
        )
    small = run([0.3, -0.4], 1.0)
    if np.allclose(small, [0.6, -0.8]):
        raise NotYet("(0.3, -0.4) has the norm 0.5, below clip_norm, and you make it larger. It must stay as it is.")
    if not np.allclose(small, [0.3, -0.4]):
        raise NotYet(f"(0.3, -0.4) is below clip_norm 1 and must stay as it is; you return {small.round(3).tolist()}.")
    if not np.allclose(between := run([0.6, -0.6], 1.0), [0.6, -0.6]):
        raise NotYet(
            "(0.6, -0.6) has the norm 0.85, below clip_norm 1, and must stay as it is; you return "
            f"{between.round(3).tolist()}. The norm is not the sum of the magnitudes."
        )
    large = run([3.0, -4.0], 10.0)
    if not np.allclose(large, [3.0, -4.0]):
        raise NotYet(
            f"(3, -4) has the norm 5, below clip_norm 10, and must stay as it is; you return {large.round(3).tolist()}. "
            "Compare the norm with clip_norm."
        )
    if not np.allclose(run([0.0, 0.0, 0.0], 1.0), 0.0):
        raise NotYet("An update of zeros must stay one. Its norm is 0, so do not divide by it.")
    return (
        "Whatever a client sends, its update now has a norm of clip_norm at most. That alone hides nothing: it only "
        "says how much noise hides one client."
    )


def _test_batches(answer: Any, *, order: Sequence[int], decibels: Sequence[float]) -> str:
    given = str(answer).strip().upper().replace(" ", "").replace(",", "")
    letters = "ABCD"[: len(order)]
    if sorted(given) != sorted(letters):
        raise NotYet(f"The answer must name each of {', '.join(letters)} once, such as {letters!r}.")
    right = "".join(letters[list(order).index(size)] for size in sorted(order))
    sharpest_first = "".join(letters[place] for place in np.argsort(decibels)[::-1])
    if given == sharpest_first != right:
        return f"That is the order by quality. By batch size it is {right}: in this run a larger batch did better once."
    if given == right[::-1] != right:
        raise NotYet("That is the other way round: the larger the batch, the more gradients are added up.")
    hits = sum(one == other for one, other in zip(given, right, strict=True))
    if given != right:
        raise NotYet(f"{hits} of {len(right)} are at their place. Look at fine lines and at the background.")
    return (
        "The gradient of a batch is the mean of the gradients of its images, and the picture is that of one of them. "
        "More images, more ways to get the same mean: what comes back gets worse, slowly. It is no protection."
    )


def _test_noise(answer: Any, *, epsilon_of: Callable[[float], float]) -> str:
    value = number(answer)
    if not 0 < value < math.inf:
        raise NotYet(f"The noise multiplier must be a number above 0, and it is {value:g}.")
    if abs(value * 10 - round(value * 10)) > _FLOAT32:
        raise NotYet(f"The answer has one decimal, such as {round(value, 1):g}, and it is {value:g}.")
    value = round(value, 1)
    reached = epsilon_of(value)
    if reached > 3:
        raise NotYet(f"With {value:g} epsilon is {reached:.2f}, above 3. More noise.")
    less = round(value - 0.1, 1)
    if less > 0 and epsilon_of(less) <= 3:
        raise NotYet(
            f"That is enough: epsilon is {reached:.2f}. With {less:g} it is {epsilon_of(less):.2f}, also enough."
        )
    return (
        f"Epsilon is {reached:.2f}. The question is asked this way round in practice: first say what may leak, then "
        "add as little noise as keeps the promise."
    )


def _masks(count: int, size: int, rng: np.random.Generator) -> dict[tuple[int, int], np.ndarray]:
    pairs = [(first, second) for first in range(count) for second in range(first + 1, count)]
    return {pair: rng.integers(0, _MODULUS, size, dtype=np.uint32) for pair in pairs}


def _sent(send: Callable[..., Any], updates: np.ndarray, masks: dict[tuple[int, int], np.ndarray]) -> list[np.ndarray]:
    messages = []
    for client, update in enumerate(updates):
        added = [mask.copy() for (first, _), mask in masks.items() if first == client]
        subtracted = [mask.copy() for (_, second), mask in masks.items() if second == client]
        message = np.asarray(call(send, update.copy(), added, subtracted))
        if message.shape != update.shape:
            raise NotYet(f"A message must have {update.size} numbers, and its shape is {message.shape}.")
        messages.append(message)
    return messages


def _test_masks(answer: Any) -> str:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise NotYet("The answer must be both functions: mended = (send, receive).")
    send, receive = answer
    rng = np.random.default_rng(0)
    clients, size = 4, 500
    updates = rng.normal(scale=0.1, size=(clients, size))
    masks = _masks(clients, size, rng)
    messages = _sent(send, updates, masks)
    for message, update in zip(messages, updates, strict=True):
        values = message.astype(float)
        if np.abs(values - update).max() < 1 or np.abs(values - np.rint(update / _STEP)).max() < 1:
            raise NotYet("A message is the update itself: the masks are not used.")
        if (values != np.rint(values)).any():
            raise NotYet(
                "A message has numbers that are not whole. A float keeps seven digits: beside a mask of a billion "
                "nothing is left of an update. Make whole numbers of the update first."
            )
        if values.min() < 0 or values.max() >= _MODULUS:
            raise NotYet(
                "A message has numbers below 0 or above 2**32 - 1. Then its size tells something about the update. "
                "Take the remainder: % 2**32."
            )
    total = _numbers(call(receive, [message.copy() for message in messages]), size, "What receive returns")
    exact = updates.sum(axis=0)
    if np.allclose(total, np.where(exact < 0, exact + _MODULUS * _STEP, exact), atol=clients * _STEP):
        raise NotYet(
            "Sums above 0 are right, and those below 0 come out as about 65,536: the upper half of the remainders "
            "stands for numbers below 0."
        )
    if not np.allclose(total, exact, atol=clients * _STEP):
        worst = float(np.abs(total - exact).max())
        raise NotYet(
            f"The sum is off by up to {worst:.3g}. Steps of 2**-16 are wanted: multiply by 2**16, round, add the "
            "masks, take the remainder; and the other way round at the end."
        )
    for message, update in zip(messages, updates, strict=True):
        hidden_by = (message.astype(np.int64) - np.rint(update / _STEP).astype(np.int64)) % _MODULUS
        first_bytes = hidden_by >> 24
        if np.isin(first_bytes, (0, 255)).mean() > _MOST_AT_ENDS:
            raise NotYet(
                "Sums are right, but what is added to an update is small, and does not hide it. Use whole masks."
            )
    other = _sent(send, updates, _masks(clients, size, rng))
    if any(np.array_equal(one, two) for one, two in zip(messages, other, strict=True)):
        raise NotYet("With other masks a message must be another one.")
    return (
        "Modulo 2**32 a mask cancels to the last bit, and a masked number can be any of 2**32, each as likely. With "
        "floats neither is true."
    )


def _mean(
    answer: Callable[..., Any],
    updates: np.ndarray,
    examples: np.ndarray,
    z: float,
    *,
    clip_norm: float = 1.0,
    seed: int = 0,
) -> np.ndarray:
    given = updates.copy(), examples.copy()
    result = call(answer, *given, clip_norm, z, 4, np.random.default_rng(seed))  # four clients are expected
    if not (np.array_equal(given[0], updates) and np.array_equal(given[1], examples)):
        raise NotYet("private_mean must leave the arrays that it gets as they are.")
    return _numbers(result, updates.shape[1], "What private_mean returns")


def _test_private(answer: Any) -> str:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise NotYet("The answer must be both functions: mended = (private_mean, spent).")
    private_mean, spent = answer
    size = 2000
    one = np.zeros((1, size))
    one[0, 0] = 8.0
    two, fair = np.zeros((2, size)), np.array([10.0, 10.0])
    two[0, 0], two[1, 1] = 0.5, 0.5
    huge = _mean(private_mean, np.vstack([one, 0 * one]), fair, 0.0)[0]
    if huge > 1.0:
        raise NotYet(
            f"One client with an update of norm 8 moves the mean by {huge:g}, with clip_norm 1. The noise is made for "
            "updates of norm 1: nobody has seen to it that they are."
        )
    unequal = _mean(private_mean, two, np.array([990.0, 10.0]), 0.0)
    if not np.isclose(unequal[0], unequal[1]):
        raise NotYet(
            "A client with 990 of 1,000 examples moves the mean 99 times as much as the other one, and the noise is "
            "the same. Every client must count the same."
        )
    if np.isclose(huge, 0.5):
        raise NotYet(
            "You divide by the number of clients that came, 2. Who came is private, too, and the noise is made for "
            "the number that is expected: divide by that, 4."
        )
    if np.isclose(huge, 1.0):
        raise NotYet("The mean is clipped, or the sum, or nothing is divided. Clip each client's update, then divide.")
    if not np.isclose(huge, 0.25) or not np.allclose(unequal[:2], 0.125):
        raise NotYet(
            f"Without noise a clipped update of norm 1 must move the mean by 1/4, and moves it by {huge:.3g}; one of "
            f"norm 0.5 by 1/8, and moves it by {unequal[0]:.3g}."
        )
    slanted = 0 * two
    slanted[0, :2] = 6.0, 8.0
    if not np.allclose(_mean(private_mean, slanted, fair, 0.0)[:2], [0.15, 0.2]):
        raise NotYet(
            "An update (6, 8) with clip_norm 1 must count as (0.6, 0.8): clip its norm, the root of the squares."
        )
    if not np.allclose(_mean(private_mean, slanted, fair, 0.0, clip_norm=2.0)[:2], [0.3, 0.4]):
        raise NotYet("With clip_norm 2 an update (6, 8) must count as (1.2, 1.6). Where is clip_norm used?")
    if not np.allclose(_mean(private_mean, 2 * two, fair, 0.0)[:2], 0.25):
        raise NotYet("Two updates of norm 1 each must count in full: clip each client's by itself, not all together.")
    still = _mean(private_mean, 0 * two, fair, 2.0)
    if np.array_equal(still, _mean(private_mean, 0 * two, fair, 2.0, seed=1)):
        raise NotYet("The noise is the same with another generator: whoever knows it takes it off. Draw it from rng.")
    deviation = float(np.std(still))
    if deviation == 0:
        raise NotYet("There is no noise any more.")
    if not 0.45 < deviation < 0.55:
        raise NotYet(
            f"With noise_multiplier 2, clip_norm 1 and 4 expected clients the noise must have the standard deviation "
            f"2 * 1 / 4 = 0.5, and it has {deviation:.2f}."
        )
    value = number(call(spent, 0.1, 1.0, 20, 1e-5))
    if np.isclose(value, epsilon(1.0, 1.0, 20, 1e-5)):
        raise NotYet(
            "The mean is right now. spent still counts as if each client were in each round: it is in a tenth of them. "
            "That promise holds, and it is far too modest."
        )
    if not np.isclose(value, epsilon(0.1, 1.0, 20, 1e-5)):
        raise NotYet(f"spent(0.1, 1.0, 20, 1e-5) gives {value:.3g}. Call epsilon with its four arguments as they are.")
    if not np.isclose(number(call(spent, 0.5, 2.0, 7, 1e-6)), epsilon(0.5, 2.0, 7, 1e-6)):
        raise NotYet("spent(0.5, 2.0, 7, 1e-6) is another federation, with another epsilon. Use all four arguments.")
    return (
        "The first two mistakes break the promise, and nothing shows it: the model is even better. The third one gives "
        "privacy away that was paid for. Such code is tested with a worst case: one client as large as it can be."
    )


clip = Exercise(
    name="clip",
    kind="code",
    difficulty="easy",
    minutes=5,
    hints=(
        "How long is the update? np.linalg.norm says it. By which factor must it shrink, if it is too long?",
        "The factor is clip_norm / norm where the norm is above clip_norm, and 1 elsewhere.",
    ),
    solution_code="""
        def clip(update, clip_norm):
            norm = np.linalg.norm(update)
            return update * (clip_norm / norm) if norm > clip_norm else update.copy()
    """,
    test=_test_clip,
)

batches = Exercise(
    name="batches",
    kind="predict",
    difficulty="easy",
    minutes=3,
    hints=(
        "Which one is sharpest? Which one has the most grain where the image is plain?",
        "Begin with both ends: the sharpest is of the smallest batch, the one with the most grain of the largest.",
    ),
    solution_code="""
        prediction = "".join("ABCD"[list(shuffled).index(size)] for size in sorted(shuffled))
    """,
    test=_test_batches,
)

noise = Exercise(
    name="noise",
    kind="explore",
    difficulty="easy",
    minutes=4,
    hints=(
        "epsilon_of(1.0) is the promise with the noise multiplier 1. Is it above 3 or below?",
        "More noise, smaller epsilon: go in steps of 0.1 until it is 3 or less for the first time.",
    ),
    solution_code="""
        multiplier = 0.1
        while epsilon_of(multiplier) > 3:
            multiplier = round(multiplier + 0.1, 1)
    """,
    test=_test_noise,
)

masks = Exercise(
    name="masks",
    kind="code",
    difficulty="medium",
    minutes=7,
    hints=(
        "A mask of a billion and an update of 0.01 do not fit into one float32. Which kind of number has no such limit, "
        "and wraps around?",
        "np.rint(update * 2**16).astype(np.int64) are whole numbers. The masks are uint32: .astype(np.int64) before you "
        "add them up. In receive, remainders from 2**31 on stand for numbers below 0: subtract 2**32.",
    ),
    solution_code="""
        def send(update, added, subtracted):
            whole = np.rint(update * 2**16).astype(np.int64)
            for mask in added:
                whole = whole + mask.astype(np.int64)
            for mask in subtracted:
                whole = whole - mask.astype(np.int64)
            return whole % 2**32


        def receive(messages):
            total = sum(messages) % 2**32
            return np.where(total >= 2**31, total - 2**32, total) / 2**16


        mended = (send, receive)
    """,
    test=_test_masks,
)

bug_hunt = Exercise(
    name="bug_hunt",
    kind="code",
    difficulty="hard",
    minutes=10,
    hints=(
        "Let one client send a huge update, and set the noise to 0: by how much can it move the mean? Then give it nearly "
        "all of the examples.",
        "Clip each update to clip_norm, add them up with equal weights, divide by expected. And a client is not in every "
        "round: epsilon wants to know how often.",
    ),
    solution_code="""
        def private_mean(updates, examples, clip_norm, noise_multiplier, expected, rng):
            norms = np.linalg.norm(updates, axis=1, keepdims=True)
            clipped = updates * np.minimum(1, clip_norm / np.maximum(norms, 1e-12))
            noise = rng.normal(0, noise_multiplier * clip_norm / expected, updates.shape[1])
            return clipped.sum(axis=0) / expected + noise


        def spent(sampling_rate, noise_multiplier, rounds, delta):
            return accountant.epsilon(sampling_rate, noise_multiplier, rounds, delta)


        mended_mean = (private_mean, spent)
    """,
    test=_test_private,
)

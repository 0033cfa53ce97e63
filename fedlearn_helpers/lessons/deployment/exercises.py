"""The exercises of notebook 10."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number

_TEN, _MOST_CANARIES, _WANTED = 10, 2000, 0.9
_TOLERANCE = 0.01  # of a day's bytes, relative: a reader may round


def _test_bytes(answer: Any, *, devices: int, share: float, rounds: int, parameters: int) -> str:
    given = number(answer)
    right = devices * share * rounds * parameters * 4 * 2 / 1e9

    def close(value: float) -> bool:
        return math.isclose(given, value, rel_tol=_TOLERANCE)

    if close(right):
        return (
            f"{right:,.0f} GB a day, half of them to the devices and half back. The same {parameters:,} numbers go each way, "
            "as 4 bytes each. A cable of 1 Gbit/s can carry about 10,800 GB a day; whoever rents servers pays by the GB."
        )
    wrong = (
        (right / 2, "That is one way. A device receives the model, and sends one back."),
        (right / share, "That is for all devices. Only some of them take part in a round."),
        (right / rounds, f"That is for one round, and there are {rounds} in a day."),
        (right / 4, "A float32 number has 4 bytes."),
        (right / 8, "A float32 number has 4 bytes, and the model goes both ways."),
        (right * 2, "That is twice too much: 8 bytes a number, or two models each way?"),
        (right * 8, "Those are gigabits. A byte has 8 bits."),
        (right * 1e9, "Those are bytes. A GB has 10**9 of them."),
        (right * 1e3, "Those are MB. A GB has 1,000 of them."),
        (right * 1e9 / 2**30, "Those are GiB, 2**30 bytes each. A GB has 10**9 bytes."),
        (right / 1e3, "Those are TB. The question asks for GB."),
    )
    for value, sentence in wrong:
        if close(value):
            raise NotYet(sentence)
    raise NotYet(
        "Multiply: devices in a round, rounds in a day, numbers in the model, bytes a number, and ways. Then divide by "
        f"10**9. Your answer is {'too large' if given > right else 'too small'}."
    )


_VERDICTS = ("completed", "with failures", "failed")


def _round(asked: int, failures: int) -> dict[str, int]:
    return {"asked": asked, "failures": failures}


def _run(status: str, *rounds: tuple[int, int], planned: int | None = None, code: int = 0) -> dict[str, Any]:
    return {
        "exit_code": code,
        "status": status,
        "planned": len(rounds) if planned is None else planned,
        "rounds": [_round(*one) for one in rounds],
    }


_DONE, _FAILED, _STOPPED, _RUNNING = "finished:completed", "finished:failed", "finished:stopped", "running"
_RUNS: tuple[tuple[Mapping[str, Any], str, str], ...] = (
    (
        _run(_FAILED, (2, 0)),
        "failed",
        "Flower says finished:failed, and the command has exited with 0. Do not trust the exit code.",
    ),
    (
        _run(_DONE, (2, 2), (2, 2)),
        "failed",
        "All clients failed in every round, and Flower calls the run completed. The model has not changed at all.",
    ),
    (
        _run(_DONE, (3, 1), (3, 0)),
        "with failures",
        "One of three clients failed in the first round. The run went on without it: say so.",
    ),
    (_run(_DONE, (2, 0), (2, 0), (2, 0)), "completed", "Nothing went wrong in this run."),
    (
        _run(_DONE, (4, 0), (4, 4), (4, 0)),
        "failed",
        "In the second round all 4 clients failed: that round did nothing. Of 12 messages 8 were answered, so a sum over "
        "the rounds does not show it.",
    ),
    (
        _run(_DONE, (2, 0), planned=3),
        "failed",
        "3 rounds were planned, and there is 1. Compare the number of rounds with `planned`.",
    ),
    (
        _run(_DONE, planned=2),
        "failed",
        "There is no round at all. A loop over no rounds finds no failure: compare their number with `planned`.",
    ),
    (_run(_STOPPED, (2, 0)), "failed", "Somebody stopped the run: finished:stopped is not completed."),
    (_run(_RUNNING, (2, 0), planned=1), "failed", "The run is still running, so it has not completed."),
    (
        _run(_DONE, (2, 1), (2, 0), (2, 1)),
        "with failures",
        "In no round did all clients fail: every round had an answer. So the run did its work, with failures.",
    ),
    (
        _run(_DONE, (2, 1), (3, 1), (5, 2)),
        "with failures",
        "4 messages failed, which is as many as some rounds have clients. Look at each round by itself.",
    ),
    (
        _run(_FAILED, (3, 1), planned=3),
        "failed",
        "Flower says finished:failed, and a client failed, too. The worse of the two counts.",
    ),
    (
        _run(_DONE, (0, 0), (2, 0)),
        "failed",
        "In the first round nobody was asked, so nobody has trained. 0 failures of 0 messages is no success.",
    ),
    (
        _run(_DONE, (2, 0), code=1),
        "completed",
        "The command exited with 1 after the run had completed: the connection that streamed the log broke. What the "
        "SuperLink says and what the clients did counts.",
    ),
)


def _test_verdict(answer: Callable[..., Any]) -> str:
    for run, right, sentence in _RUNS:
        result = call(answer, {**run, "rounds": [dict(one) for one in run["rounds"]]})
        if result not in _VERDICTS:
            raise NotYet(f"verdict must return one of {', '.join(map(repr, _VERDICTS))}, and returns {result!r}.")
        if result != right:
            raise NotYet(f"{sentence} The verdict must be {right!r}, and is {result!r}.\nThe run: {run}")
    return (
        "An exit code says that a command has ended, a status that a ServerApp has. Only the counts say whether anybody "
        "trained. Trust status and counts, and let a program look at them."
    )


def _p_value(worse: int, better: int) -> float:
    n = worse + better
    return sum(math.comb(n, k) for k in range(worse, n + 1)) / 2**n


def _test_roll_back(answer: Callable[..., Any]) -> str:
    def decide(worse: int, better: int, level: float) -> bool:
        result = call(answer, worse, better, level)
        if not isinstance(result, bool | np.bool_):
            raise NotYet(f"roll_back must return True or False, and returns {result!r}.")
        return bool(result)

    _same_answer(
        decide,
        (
            (0, 40, 0.01, "40 devices say better, and none worse. Roll back for a fall, not for a rise."),
            (40, 0, 0.01, "40 devices say worse, and none better."),
            (3, 1, 0.01, "3 devices say worse and 1 says better. Fair coins do so in 5 of 16 cases."),
            (
                8,
                2,
                0.05,
                "Of 10 coins at least 8 are heads with p = 56/1024 = 0.055, above 0.05. P(X > 8) is 0.011: it leaves out "
                "X = 8 itself.",
            ),
            (0, 0, 0.01, "No device can tell the two models apart. There is nothing to roll back for: p is 1."),
            (
                9,
                2,
                0.05,
                "Of 11 coins at least 9 are heads with p = 67/2048 = 0.033. Twice that, the two-sided test, is above 0.05: "
                "but only a fall is of interest.",
            ),
            (60, 50, 0.05, "60 to 50 is what coins do: p = 0.20. More votes for worse are no reason alone."),
            (600, 500, 0.05, "600 to 500 has the same ratio as 60 to 50, and p = 0.0014: ten times the evidence."),
            (5, 0, 0.05, "Of 5 coins all are heads with p = 1/32 = 0.031. Few votes can be enough."),
            (4, 0, 0.05, "Of 4 coins all are heads with p = 1/16 = 0.0625."),
            (5, 0, 0.03, "p = 1/32 = 0.031 is above 0.03. Use the level that is given."),
            (1500, 1400, 0.01, "1,500 to 1,400: p = 0.033, above 0.01."),
        ),
    )
    return (
        "p is how often a change that makes nothing worse looks as bad as this. With the level 0.01 at most one "
        "harmless update in a hundred is rolled back for nothing, in each stage that is looked at."
    )


def _same_answer(decide: Callable[..., bool], cases: Sequence[tuple[int, int, float, str]]) -> None:
    for worse, better, level, sentence in cases:
        right = _p_value(worse, better) <= level
        if decide(worse, better, level) != right:
            raise NotYet(
                f"{sentence}\nroll_back({worse}, {better}, {level}) must be {right}, and is {not right}: "
                f"p = {_p_value(worse, better):.4f}."
            )


def _test_canaries(answer: Any, *, noticed: Callable[[int], float]) -> str:
    given = number(answer)
    if not math.isfinite(given) or given != int(given) or given % _TEN or not _TEN <= given <= _MOST_CANARIES:
        raise NotYet(f"The answer is a multiple of 10, from 10 to {_MOST_CANARIES}, and it is {given:g}.")
    count = int(given)
    right = next(size for size in range(_TEN, _MOST_CANARIES + 1, _TEN) if noticed(size) >= _WANTED)
    if count < right:
        raise NotYet(f"{count} devices notice it in {noticed(count):.0%} of all cases. That is less than 90 %.")
    if count > right:
        raise NotYet(f"{count} are enough: {noticed(count):.0%}. A smaller number is enough, too.")
    return (
        f"With {right} devices it is {noticed(right):.0%}, with {right - _TEN} "
        f"{f'{noticed(right - _TEN):.0%}' if right > _TEN else 'nothing'}. So a canary of ten devices is a ritual: it "
        "finds a model that is broken, and not one that is a little worse."
    )


def _flat_mean(models: Sequence[np.ndarray], examples: Sequence[int]) -> np.ndarray:
    return np.average(np.stack(models), axis=0, weights=examples)


def _groups(models: Sequence[Any], fan_out: int) -> list[Sequence[Any]]:
    return [models[start : start + fan_out] for start in range(0, len(models), fan_out)]


def _unweighted_above(models: Sequence[np.ndarray], examples: Sequence[int], fan_out: int) -> np.ndarray:
    """The mistake that the exercise shows: the groups' means count the same."""
    means = [
        _flat_mean(group, counts)
        for group, counts in zip(_groups(models, fan_out), _groups(list(examples), fan_out), strict=True)
    ]
    while len(means) > 1:
        means = [np.mean(group, axis=0) for group in _groups(means, fan_out)]
    return means[0]


def _by_heads(models: Sequence[np.ndarray], examples: Sequence[int], fan_out: int) -> np.ndarray:
    """The groups' means count by their number of clients."""
    pairs = [
        (_flat_mean(group, counts), len(group))
        for group, counts in zip(_groups(models, fan_out), _groups(list(examples), fan_out), strict=True)
    ]
    return np.average(np.stack([mean for mean, _ in pairs]), axis=0, weights=[count for _, count in pairs])


def _without_the_rest(models: Sequence[np.ndarray], examples: Sequence[int], fan_out: int) -> np.ndarray:
    whole = len(models) // fan_out * fan_out
    return _flat_mean(models[:whole], examples[:whole])


def _test_tree(answer: Callable[..., Any]) -> str:
    rng = np.random.default_rng(0)
    cases = [(4, 2), (12, 3), (7, 3), (1, 2), (27, 3), (30, 4), (9, 10)]
    for clients, fan_out in cases:
        models = [rng.normal(size=3).round(2) for _ in range(clients)]
        examples = [int(count) for count in rng.integers(1, 200, clients)]
        copies = [model.copy() for model in models]
        result = call(answer, copies, list(examples), fan_out)
        try:
            values = np.asarray(result, dtype=float)
        except (TypeError, ValueError):
            raise NotYet("tree_mean must return one model: an array of numbers.") from None
        if not all(np.array_equal(one, model) for one, model in zip(copies, models, strict=True)):
            raise NotYet("tree_mean must leave the models that it gets as they are: `+=` changes an array in place.")
        _compare_tree(values, models, examples, fan_out)
    return (
        "A sum needs no order, a mean does not know how much stands behind it. So what goes up a tree is the sum of "
        "n_k w_k and the sum of n_k, and the root alone divides. One server with all models gets the same numbers; in a "
        "tree nobody holds more than fan_out models, however many clients there are."
    )


def _compare_tree(values: np.ndarray, models: Sequence[np.ndarray], examples: Sequence[int], fan_out: int) -> None:
    right = _flat_mean(models, examples)
    if values.shape != right.shape:
        raise NotYet(f"A model has the shape {right.shape} here, and what is returned has {values.shape}.")
    if np.allclose(values, right):
        return
    case = f"{len(models)} clients, fan_out {fan_out}"
    wrong: list[tuple[np.ndarray, str]] = [
        (
            _unweighted_above(models, examples, fan_out),
            "The groups' means still count the same, whatever stands behind them.",
        ),
        (_by_heads(models, examples, fan_out), "The groups count by their number of clients. It must be by examples."),
        (np.mean(models, axis=0), "All clients count the same. They must count by their examples."),
        (right * sum(examples), "That is the sum. Divide it by the number of all examples, once, at the root."),
        (right * sum(examples) / len(models), "You divide by the number of clients. It must be by their examples."),
    ]
    if len(models) % fan_out and len(models) > fan_out:
        wrong.append((_without_the_rest(models, examples, fan_out), "The last group, which is smaller, is lost."))
    for value, sentence in wrong:
        if np.allclose(values, value):
            raise NotYet(f"{sentence} ({case})")
    raise NotYet(
        f"With {case} the first number of the mean must be {right.ravel()[0]:.4f}, and is {values.ravel()[0]:.4f}. "
        "A tree may have more than two levels."
    )


a_day = Exercise(
    "a_day",
    "predict",
    "easy",
    4,
    hints=(
        "One device that takes part moves the model twice: down and up. How many bytes is that?",
        "devices x share x rounds x parameters x 4 bytes x 2 ways, divided by 10**9.",
    ),
    solution_code="prediction = asked_devices * asked_share * asked_rounds * num_parameters * 4 * 2 / 1e9",
    test=_test_bytes,
)


def verdict(run):
    """Say what became of a run: "completed", "with failures" or "failed"."""
    rounds = run["rounds"]
    if run["status"] != "finished:completed" or len(rounds) < run["planned"]:
        return "failed"
    if any(one["failures"] == one["asked"] for one in rounds):
        return "failed"  # nobody trained in that round; also where nobody was asked
    return "with failures" if any(one["failures"] for one in rounds) else "completed"


what_happened = Exercise(
    "what_happened",
    "code",
    "medium",
    10,
    hints=(
        "Begin with what must be true for `completed`: of the status, of the number of rounds, of each round.",
        'Three questions in this order: is the status not "finished:completed", or is a round missing? Did in any round '
        "as many fail as were asked? Did anybody fail?",
    ),
    solution_code=verdict,
    test=_test_verdict,
)


def roll_back(worse, better, level):
    """Say whether so many devices vote "worse" that chance does not explain it."""
    n = worse + better
    p = sum(math.comb(n, k) for k in range(worse, n + 1)) / 2**n
    return p <= level


canary = Exercise(
    "canary",
    "code",
    "medium",
    10,
    hints=(
        "If the update changes nothing, each vote is a coin: worse or better. How likely "
        "are at least `worse` heads among `worse + better` coins?",
        "p = sum of math.comb(n, k) for k from worse to n, divided by 2**n, at the end: whole numbers have no limit, and "
        "floats have one. Roll back if p <= level.",
    ),
    solution_code=roll_back,
    test=_test_roll_back,
)


canaries = Exercise(
    "canaries",
    "explore",
    "easy",
    5,
    hints=(
        "noticed(100) is the chance with 100 devices. Try larger numbers until it is above 0.9, then go back.",
        "next(n for n in range(10, 2001, 10) if noticed(n) >= 0.9)",
    ),
    solution_code="fewest = next(n for n in range(10, 2001, 10) if noticed(n) >= 0.9)",
    test=_test_canaries,
)


def mended(models, examples, fan_out):
    """Average models by their examples, in groups of fan_out, level by level."""
    nodes = [(count * model, count) for model, count in zip(models, examples, strict=True)]
    while len(nodes) > 1:
        groups = [nodes[start : start + fan_out] for start in range(0, len(nodes), fan_out)]
        nodes = [(sum(total for total, _ in group), sum(count for _, count in group)) for group in groups]
    total, count = nodes[0]
    return total / count


bug_hunt = Exercise(
    "bug_hunt",
    "code",
    "hard",
    10,
    hints=(
        "Four clients with 1, 1, 1 and 97 examples, in two groups. What does each group's mean count for, at the root?",
        "Let each node pass on two things: the sum of examples x model, and the sum of examples. Divide at the root.",
    ),
    solution_code=mended,
    test=_test_tree,
)

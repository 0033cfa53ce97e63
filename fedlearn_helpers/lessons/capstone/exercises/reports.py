"""Exercise 4 of notebook 12: a report that hides nobody."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.capstone.exercises.answers import refuse_near, same
from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number

_KEYS = ("mean by examples", "mean of clients", "worst client", "spread", "failed")


def _failed(accuracies: np.ndarray) -> list[int]:
    return np.flatnonzero(np.isnan(accuracies).any(axis=0)).tolist()


def _measure(accuracies: np.ndarray, sizes: np.ndarray) -> dict[str, Any]:
    """Return the three numbers of clients; what is nan among them is left out."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # means of nothing are nan, as they should be
        by_client = np.nanmean(accuracies, axis=0)
        known = ~np.isnan(by_client)
        return {
            "mean by examples": float((by_client * sizes)[known].sum() / np.float64(sizes[known].sum())),
            "mean of clients": float(by_client[known].mean()),
            "spread": float(np.nanmean(accuracies, axis=1).std(ddof=1)),
        }


def _right_report(accuracies: np.ndarray, sizes: np.ndarray) -> dict[str, Any]:
    failed = _failed(accuracies)
    kept = np.setdiff1d(np.arange(len(sizes)), failed)
    by_client = accuracies.mean(axis=0)
    worst = failed[0] if failed else int(by_client.argmin())
    return {
        **_measure(accuracies[:, kept], sizes[kept]),
        "worst client": (worst, float(by_client[worst])),
        "failed": failed,
    }


def _report(answer: Callable[..., Any], accuracies: np.ndarray, sizes: np.ndarray) -> dict[str, Any]:
    """Return what an answer reports, with plain numbers in it."""
    given = accuracies.copy(), sizes.copy()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = call(answer, *given)
    if not (np.array_equal(given[0], accuracies, equal_nan=True) and np.array_equal(given[1], sizes)):
        raise NotYet("report must leave the arrays that it gets as they are.")
    if not isinstance(result, Mapping):
        raise NotYet(f"report must return a dict, and returns a {type(result).__name__}.")
    if missing := [key for key in _KEYS if key not in result]:
        raise NotYet(f"The dict must have the keys {', '.join(map(repr, _KEYS))}: {missing[0]!r} is missing.")
    worst = result["worst client"]
    if not isinstance(worst, (tuple, list)) or len(worst) != 2:
        raise NotYet(f'"worst client" must be (index, mean over seeds), and is {worst!r}.')
    index, mean = number(worst[0]), number(worst[1])
    if index != index // 1 or not 0 <= index < len(sizes):
        raise NotYet(f'"worst client" must begin with an index from 0 to {len(sizes) - 1}, and begins with {index:g}.')
    numbers = {key: number(result[key]) for key in ("mean by examples", "mean of clients", "spread")}
    return {
        **numbers,
        "worst client": (int(index), mean),
        "failed": _indices(result["failed"], len(sizes)),
    }


def _indices(failed: Any, clients: int) -> list[int]:
    if not isinstance(failed, (list, tuple, np.ndarray)):
        raise NotYet('"failed" must be a list of indices: who failed, and not how many.')
    listed = list(failed)
    if len(listed) == clients and all(isinstance(one, (bool, np.bool_)) for one in listed):
        raise NotYet('"failed" must be a list of indices, and is one of True and False. np.flatnonzero makes indices.')
    found = [number(one) for one in listed]
    if any(one != one // 1 for one in found):
        raise NotYet(f'"failed" must be a list of whole numbers, and is {found}.')
    return [int(one) for one in found]


def _all_there() -> tuple[np.ndarray, np.ndarray]:
    """Four seeds and five clients; the lowest single number is not that of the client with the lowest mean."""
    accuracies = np.random.default_rng(0).uniform(0.6, 0.9, size=(4, 5)).round(3)
    accuracies[:, 2] = [0.41, 0.47, 0.44, 0.38]
    accuracies[1, 3], accuracies[2, 0] = 0.12, 0.97
    return accuracies, np.array([400, 30, 90, 150, 250])


def _test_report(answer: Callable[..., Any]) -> str:
    accuracies, sizes = _all_there()
    _compare_all_there(_report(answer, accuracies, sizes), accuracies, sizes)
    accuracies = np.vstack([accuracies, accuracies[:2] - 0.03])
    accuracies[0, 1] = accuracies[0, 4] = accuracies[3, 4] = math.nan
    _compare_failed(_report(answer, accuracies, sizes), accuracies, sizes)
    rng = np.random.default_rng(1)
    never = rng.uniform(size=(3, 4))
    never[:, 3] = math.nan
    everywhere = np.full((3, 4), math.nan)
    for case, what in (
        (never, "a client failed in every seed"),
        (
            everywhere,
            "all clients failed in all seeds: then the means and the spread are nan, and the worst is the first",
        ),
        (rng.uniform(size=(1, 4)), "there is one seed: its spread is not known, and is nan"),
        (rng.uniform(size=(7, 1)), "there is one client"),
        (np.full((3, 4), 0.5), "all are equal: the first is the worst then"),
    ):
        n = np.arange(1, case.shape[1] + 1) * 10
        said, right = _report(answer, case, n), _right_report(case, n)
        for key in _KEYS:
            if not _equal(said[key], right[key]):
                raise NotYet(f"If {what}, {key!r} must be {_shown(right[key])}, and is {_shown(said[key])}.")
    return (
        "Five lines in place of one number: whose mean, how sure, who is worst, and who is missing. A client without a "
        "number is worse than any number, and a mean over those who are left is a mean over the lucky."
    )


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return bool(one == other)
    if isinstance(one, tuple):
        return one[0] == other[0] and same(one[1], other[1])
    return same(one, other)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({value[0]}, {value[1]:.4g})"
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"


def _compare_all_there(said: dict[str, Any], x: np.ndarray, n: np.ndarray) -> None:
    """Judge a report on clients none of which failed."""
    right, by_client, by_seed = _right_report(x, n), x.mean(axis=0), x.mean(axis=1)
    if said["failed"]:
        raise NotYet(f'Nobody failed, so "failed" must be empty, and it is {said["failed"]}.')
    if not same(given := said["mean by examples"], right["mean by examples"]):
        refuse_near(
            given,
            [
                (x.mean(), '"mean by examples": all clients count the same. Weigh them by their sizes.'),
                (by_client @ n, '"mean by examples": divide by the sum of the sizes.'),
                ((x @ n).sum() / n.sum(), '"mean by examples": the seeds are added up. Take their mean.'),
                (
                    by_client @ n / len(n),
                    '"mean by examples": divide by the sum of the sizes, not by how many there are.',
                ),
                (np.average(by_client, weights=1 / n), '"mean by examples": the weights are turned round.'),
                (x[0] @ n / n.sum(), '"mean by examples": that is the first seed alone.'),
            ],
        )
        raise NotYet(f'"mean by examples" must be {right["mean by examples"]:.4g}, and is {given:.4g}.')
    if not same(given := said["mean of clients"], right["mean of clients"]):
        refuse_near(
            given,
            [
                (right["mean by examples"], '"mean of clients": large clients count more. Here all count the same.'),
                (x.sum() / len(n), '"mean of clients": the seeds are added up. Take their mean.'),
                (np.median(by_client), '"mean of clients": that is the median.'),
                (x[0].mean(), '"mean of clients": that is the first seed alone.'),
            ],
        )
        raise NotYet(f'"mean of clients" must be {right["mean of clients"]:.4g}, and is {given:.4g}.')
    _compare_worst(said["worst client"], x, n)
    if not same(given := said["spread"], right["spread"]):
        over_clients = '"spread": that is over clients: how unequal they are. How sure a mean is, other seeds say.'
        each = (
            '"spread": each client\'s own standard deviation, averaged. Take the mean of clients first, seed by seed.'
        )
        refuse_near(
            given,
            [
                (by_seed.std(), '"spread": you divide by the number of seeds. Divide by one less: std(ddof=1).'),
                (by_client.std(), over_clients),
                (by_client.std(ddof=1), over_clients),
                (x.std(), '"spread": that is over all numbers, clients and seeds. It is over seeds alone.'),
                (x.std(ddof=1), '"spread": that is over all numbers, clients and seeds. It is over seeds alone.'),
                (x.std(axis=0).mean(), each),
                (x.std(axis=0, ddof=1).mean(), each),
                (x.std(axis=1).mean(), over_clients),
                (x.std(axis=1, ddof=1).mean(), over_clients),
                (by_seed.std(ddof=1) / math.sqrt(len(x)), '"spread": that is the standard error of the mean.'),
                (by_seed.var(ddof=1), '"spread": that is the variance. Take its root.'),
                (
                    np.ptp(by_seed),
                    '"spread": that is the largest less the smallest. It grows with the number of seeds.',
                ),
                (
                    (x @ n / n.sum()).std(ddof=1),
                    '"spread": that is of the mean by examples. It is of the mean of clients.',
                ),
            ],
        )
        raise NotYet(f'"spread" must be {right["spread"]:.4g}, and is {given:.4g}.')


def _compare_worst(said: tuple[int, float], x: np.ndarray, n: np.ndarray) -> None:
    by_client = x.mean(axis=0)
    worst = int(by_client.argmin())
    index, mean = said
    if index == worst and same(mean, by_client[worst]):
        return
    seed, client = np.unravel_index(x.argmin(), x.shape)
    if same(mean, x.min()) or (index == client and same(mean, by_client[client])):
        raise NotYet(
            '"worst client": one seed decides, the lowest single number. That is a client with bad luck: take the mean '
            "over seeds first."
        )
    if index == by_client.argmax():
        raise NotYet('"worst client": that is the best one.')
    if index == n.argmin():
        raise NotYet('"worst client": that is the smallest one. How large it is does not matter here.')
    if same(mean, by_client[worst]):
        raise NotYet(f'"worst client": its mean is right, and its index is {worst}, counted from 0. You say {index}.')
    if index == worst:
        raise NotYet(
            f'"worst client": client {worst} is right. With it goes its mean over seeds, {by_client[worst]:.4g}, not '
            f"{mean:.4g}."
        )
    raise NotYet(f'"worst client" must be {_shown((worst, by_client[worst]))}, and is {_shown(said)}.')


def _compare_failed(said: dict[str, Any], x: np.ndarray, n: np.ndarray) -> None:
    """Judge a report on clients of which some failed in some seeds."""
    right, failed = _right_report(x, n), _failed(x)
    if said["failed"] != failed:
        _refuse_failed(said["failed"], x, failed)
    index, mean = said["worst client"]
    if not _equal((index, mean), right["worst client"]):
        if index not in failed:
            raise NotYet(
                f'"worst client": clients {failed} have failed, and you name {index}, the worst of the others. Who has no '
                "number is not better than who has a low one: the first that failed, with nan."
            )
        if mean == 0 or same(mean, np.nan_to_num(x).mean(axis=0)[index]):
            raise NotYet('"worst client": a failed run counts as 0. Nobody has measured a 0: its mean is nan.')
        if not math.isnan(mean):
            raise NotYet(
                f'"worst client": client {index} failed in a seed, and gets the mean of the seeds that went well. It is '
                "not known: nan."
            )
        raise NotYet(f'"worst client": several have failed, {failed}, and the first one is to be named, not {index}.')
    whole = x[~np.isnan(x).any(axis=1)]
    treated = (
        (
            _measure(x, n),
            "a failed client counts in the seeds that went well: so every seed has other clients, np.nanmean.",
        ),
        (_measure(np.nan_to_num(x), n), "a failed run counts as 0. Nobody has measured a 0."),
        (_measure(whole, n), "you leave out seeds in which somebody failed. Leave out the clients, in all seeds."),
    )
    for key in ("mean by examples", "mean of clients", "spread"):
        if same(said[key], right[key]):
            continue
        if math.isnan(said[key]):
            raise NotYet(f'{key!r} is nan. It is over clients that never failed; those that did are named in "failed".')
        known = [(values[key], f"{key!r}: {sentence}") for values, sentence in treated]
        known += [(np.nanmean(x), known[0][1]), (np.nanmean(np.nanmean(x, axis=1)), known[0][1])]
        kept = np.setdiff1d(np.arange(len(n)), failed)
        by_all = (x[:, kept].mean(axis=0) @ n[kept]) / n.sum()
        known += [(by_all, f"{key!r}: you divide by the sizes of all. Divide by those of the clients that are left.")]
        refuse_near(said[key], known)
        raise NotYet(
            f"Clients {failed} have failed in some seed. Over the others {key!r} is {right[key]:.4g}, and you say "
            f"{said[key]:.4g}."
        )


def _refuse_failed(said: list[int], x: np.ndarray, failed: list[int]) -> None:
    if not said:
        raise NotYet(f'"failed" is empty, and clients {failed} have a nan in some seed.')
    if said == np.flatnonzero(np.isnan(x).any(axis=1)).tolist():
        raise NotYet('"failed" has the seeds in which somebody failed. Name the clients.')
    if sorted(set(said)) == failed:
        raise NotYet(f'"failed" must name each client once and in order, {failed}, and is {said}.')
    raise NotYet(f'"failed" must be {failed}: all clients with a nan in any seed. It is {said}.')


worst_client = Exercise(
    name="worst_client",
    kind="code",
    difficulty="medium",
    minutes=8,
    hints=(
        "failed = np.isnan(accuracies).any(axis=0) says of each client whether it failed. Means are over the others, in all "
        "seeds.",
        "accuracies.mean(axis=0) is nan for whoever failed, and np.argmin takes the first nan for the smallest. The spread is "
        "kept.mean(axis=1).std(ddof=1).",
    ),
    solution_code="""
        def report(accuracies, sizes):
            failed = np.isnan(accuracies).any(axis=0)
            kept, examples = accuracies[:, ~failed], sizes[~failed]
            by_client = accuracies.mean(axis=0)  # nan for whoever failed
            worst = int(np.argmin(by_client))  # of several nan the first
            return {
                "mean by examples": (kept.mean(axis=0) * examples).sum() / examples.sum(),
                "mean of clients": kept.mean(axis=0).mean(),
                "worst client": (worst, by_client[worst]),
                "spread": kept.mean(axis=1).std(ddof=1),
                "failed": np.flatnonzero(failed).tolist(),
            }
    """,
    test=_test_report,
)

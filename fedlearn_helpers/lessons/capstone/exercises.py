"""The exercises of notebook 12."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fedlearn_helpers.decision import CARDS, QUESTIONS, RULES, Verdict, decide
from fedlearn_helpers.decision.decide import CENTRALIZE, VERDICTS
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number
from fedlearn_helpers.metrics import errors_needed, is_clear, standard_error

_EXACT = 1e-9
_CLOSE = 1e-6  # as far as weights and means may be off
_BYTES = 4  # of a float32
_WORDS = ("confirmed", "refuted", "undecided")


def _two(answer: Any, what: str) -> tuple[Any, Any]:
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise NotYet(f"The answer must be two things in brackets, {what}.")
    return answer[0], answer[1]


# Exercise 1: what the decision aid says, and what turns it round

_NAMES = tuple(question.name for question in QUESTIONS)
_OF_ANSWERS = {
    "network": "A fast network makes it cheap to move data. It gives nobody the right to.",
    "clients": "How many there are decides which kind of federation it is, not whether data may be moved.",
    "trust": "Trust decides how updates are added, and whether the server sees each of them.",
    "alike": "How much the data differ decides how hard a federation is, and what to measure.",
    "alone": "What one party reaches alone decides whether there is anything to gain.",
}


def _test_verdict(answer: Any, *, answers: Mapping[str, str]) -> str:
    said, question = _two(answer, "a verdict and the name of a question")
    said = said.verdict if isinstance(said, Verdict) else said
    if not (isinstance(said, str) and isinstance(question, str)):
        raise NotYet("The answer must be two strings, a verdict and the name of a question.")
    if said in _NAMES and question in VERDICTS:
        raise NotYet("The verdict comes first, then the name of the question.")
    right = decide(answers).verdict
    if said not in VERDICTS:
        if said.strip().lower() in ("federate", "federated", "federation"):
            raise NotYet("There are two kinds of federation, cross-silo and cross-device, and the verdict says which.")
        raise NotYet(f"The verdict must be one of {', '.join(map(repr, VERDICTS))}, and it is {said!r}.")
    if said != right:
        _refuse_verdict(said, answers)
    if question not in _NAMES:
        raise NotYet(
            f"The second part must be the name of a question, one of {', '.join(_NAMES)}: {question!r} is none."
        )
    turned = _turned(answers, question)
    if CENTRALIZE not in turned.values():
        shown = ", ".join(f"with {question}={name} it is {verdict!r}" for name, verdict in turned.items())
        raise NotYet(
            f"{_OF_ANSWERS.get(question, 'That answer is not what keeps the data apart.')} decide says: {shown}."
        )
    changed = next(name for name, verdict in turned.items() if verdict == CENTRALIZE)
    text = decide({**answers, question: changed}).reasons[0].text
    return (
        f"It is {right!r}; with {question}={changed} it becomes {CENTRALIZE!r}: {text}. Ask that question first: the answer "
        "may change, and a contract may cost less than a federation."
    )


def _turned(answers: Mapping[str, str], name: str) -> dict[str, str]:
    """Return the verdict for every other answer to one question."""
    question = next(question for question in QUESTIONS if question.name == name)
    found = {}
    for other in question.answers:
        if other != answers[name]:
            try:
                found[other] = decide({**answers, name: other}).verdict
            except InputError:
                found[other] = "a contradiction"
    return found


def _refuse_verdict(said: str, answers: Mapping[str, str]) -> None:
    rules = [rule for rule in RULES if rule.verdict == said]
    decisive = next(rule for rule in RULES if rule.verdict and rule.fits(answers))
    if any(rule.fits(answers) for rule in rules):
        raise NotYet(
            f"A rule that says {said!r} fits, and one above it fits, too: {decisive.when}. The first one decides."
        )
    needs = "; or ".join(rule.when.replace(" ", " and ") for rule in rules)
    asked = list(dict.fromkeys(name for rule in rules for name in rule.conditions))
    here = ", ".join(f"{name}={answers[name]}" for name in asked)
    raise NotYet(f"No rule that says {said!r} fits. It takes {needs}. Here it is {here}.")


# Exercise 2: the mean of products

_Factors = list[tuple[np.ndarray, np.ndarray]]


def _factors(rng: np.random.Generator, ranks: Sequence[int], d_out: int, d_in: int) -> _Factors:
    return [(rng.normal(size=(d_out, r)), rng.normal(size=(r, d_in))) for r in ranks]


def _products(factors: _Factors) -> np.ndarray:
    return np.stack([b @ a for b, a in factors])


def _means(factors: _Factors, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted means of B and of A."""
    return np.average([b for b, _ in factors], axis=0, weights=w), np.average(
        [a for _, a in factors], axis=0, weights=w
    )


def _right_update(factors: _Factors, w: np.ndarray) -> np.ndarray:
    return np.average(_products(factors), axis=0, weights=w)


def _product_of_means(factors: _Factors, w: np.ndarray) -> np.ndarray:
    b, a = _means(factors, w)
    return b @ a


_OF_MEANS = (
    "That is the mean of B times the mean of A, as FedAvg on adapters has it. It multiplies one client's B with another "
    "one's A, which nobody has trained together. Multiply first."
)
_UPDATES_WRONGLY: tuple[tuple[Callable[[_Factors, np.ndarray], np.ndarray], str], ...] = (
    (_product_of_means, _OF_MEANS),
    (lambda f, w: _product_of_means(f, np.ones(len(w))), f"{_OF_MEANS} And use the weights."),
    (
        lambda f, w: _product_of_means(f, w) * w.sum() ** 2,
        f"{_OF_MEANS} And divide by the sum of the weights.",
    ),
    (
        lambda f, w: _product_of_means(f, w) * w.sum(),
        f"{_OF_MEANS} And divide by the sum of the weights.",
    ),
    (
        lambda f, w: _products(f).mean(axis=0),
        "All clients count the same. They must count by their weights: who has more examples has learned from more.",
    ),
    (lambda f, w: _products(f).sum(axis=0), "That is the sum of the products. Weigh them, and take the mean."),
    (
        lambda f, w: np.tensordot(w, _products(f), axes=1),
        "The weights are not normalised: divide by their sum. They may be numbers of examples.",
    ),
    (
        lambda f, w: np.tensordot(w, _products(f), axes=1) / len(w),
        "You divide by the number of clients. Divide by the sum of the weights.",
    ),
    (
        lambda f, w: np.tensordot(w / w.max(), _products(f), axes=1),
        "You divide by the largest weight. Divide by their sum.",
    ),
    (
        lambda f, w: np.average(_products(f), axis=0, weights=w**2),
        "The weights are squared: B and A have one together.",
    ),
    (
        lambda f, w: np.tensordot((w / w.sum()) ** 2, _products(f), axes=1),
        "The weights are used twice, for B and for A. A product has one weight.",
    ),
    (lambda f, w: np.average(_products(f), axis=0, weights=w[::-1]), "The weights are those of other clients."),
    (lambda f, w: _products(f)[0], "That is the first client's product. All clients count."),
    (lambda f, w: _products(f)[-1], "That is the last client's product. All clients count: is the return in the loop?"),
    (lambda f, w: _products(f)[w.argmax()], "That is the product of the client with the largest weight. All count."),
)


def _update_of(answer: Callable[..., Any], factors: _Factors, w: np.ndarray) -> np.ndarray:
    """Return what an answer makes of clients, as a float array of the right shape."""
    given, weights = [(b.copy(), a.copy()) for b, a in factors], w.copy()
    result = call(answer, given, weights)
    same = len(given) == len(factors) and np.array_equal(weights, w)
    if not same or not all(
        np.array_equal(now, before)
        for pair, pair_before in zip(given, factors, strict=True)
        for now, before in zip(pair, pair_before, strict=True)
    ):
        raise NotYet("exact_update must leave the list and the arrays that it gets as they are.")
    try:
        array = np.asarray(result, dtype=float)
    except (TypeError, ValueError):
        raise NotYet("exact_update must return an array of numbers.") from None
    d_out, r = factors[0][0].shape
    d_in = factors[0][1].shape[1]
    if array.shape != (d_out, d_in):
        what = {
            (r, r): " A @ B is as small as the rank: B comes first.",
            (d_in, d_out): " Turn it round.",
            (len(w), d_out, d_in): " Those are the clients' products: take their mean.",
            (): " It is one number.",
        }.get(array.shape, "")
        raise NotYet(
            f"What is returned must have the shape (d_out, d_in), {(d_out, d_in)}, and has {array.shape}.{what}"
        )
    if not np.isfinite(array).all():
        raise NotYet("What is returned has numbers that are not finite.")
    return array


def _test_exact_update(answer: Callable[..., Any]) -> str:
    rng = np.random.default_rng(0)
    factors, w = _factors(rng, (2, 2, 2), 4, 4), np.array([10.0, 60.0, 30.0])
    result, right = _update_of(answer, factors, w), _right_update(factors, w)
    if not np.allclose(result, right, rtol=0, atol=_CLOSE):
        for wrong, sentence in _UPDATES_WRONGLY:
            if np.allclose(result, wrong(factors, w), rtol=0, atol=_CLOSE):
                raise NotYet(sentence)
        if np.allclose(result, right.T, rtol=0, atol=_CLOSE):
            raise NotYet("The matrix is transposed. The update is B @ A: rows are outputs, columns are inputs.")
        if np.allclose(result, -right, rtol=0, atol=_CLOSE):
            raise NotYet("The sign is turned round.")
        raise NotYet(
            f"With three clients the first number must be {right[0, 0]:.4g}, and is {result[0, 0]:.4g}. Multiply each "
            "client's B @ A, then take the weighted mean."
        )
    for changed, weights, what in (
        (factors, w / 7, "all weights are divided by 7. Only their ratios count"),
        (_factors(rng, (3, 3), 5, 7), np.array([2.0, 1.0]), "d_out is 5 and d_in is 7"),
        (_factors(rng, (2,), 3, 6), np.array([40.0]), "there is one client"),
        (factors, np.array([1.0, 0.0, 3.0]), "one client has the weight 0"),
        (_factors(rng, (1, 4, 2), 5, 6), np.array([5.0, 1.0, 2.0]), "the clients have ranks 1, 4 and 2"),
    ):
        if not np.allclose(_update_of(answer, changed, weights), _right_update(changed, weights), rtol=0, atol=_CLOSE):
            raise NotYet(f"The update is right for three clients. It is wrong if {what}.")
    lost = np.linalg.norm(right - _product_of_means(factors, w)) / np.linalg.norm(right)
    return (
        f"For random factors the product of means is off by {lost:.0%}; section 3 measures much less, for clients that "
        "begin from one adapter. And the mean of products can be taken where ranks differ. Its price: it is as large as the layer."
    )


# Exercise 3: bytes of adapters


def _test_bytes(answer: Any, *, layers: Mapping[str, tuple[int, int]], rank: int) -> str:
    given = number(answer)
    out, into = sum(shape[0] for shape in layers.values()), sum(shape[1] for shape in layers.values())
    whole, numbers = sum(o * i for o, i in layers.values()), rank * (out + into)
    right = 2 * _BYTES * numbers
    if given == right:
        return (
            f"{right:,} bytes: {numbers:,} numbers, 4 bytes each, there and back. All weights of these layers would be "
            f"{2 * _BYTES * whole:,}, {whole / numbers:.1f} times as many. A rank twice as large costs twice as much."
        )
    both = "Both matrices are learned, and both travel"
    known = (
        (right / 2, "That is one way. The server sends the adapters out, and every client sends them back."),
        (2 * _BYTES * whole, "Those are all weights of the layers. With LoRA they stay where they are."),
        (_BYTES * whole, "Those are all weights of the layers, one way. With LoRA they stay where they are."),
        (whole, "That is how many weights the layers have. With LoRA they stay where they are."),
        (right + 2 * _BYTES * whole, "The frozen weights do not travel: every client has them already."),
        (2 * _BYTES * rank * into, f"That is A alone. {both}: B is (out, rank)."),
        (_BYTES * rank * into, f"That is A alone, and one way. {both}: B is (out, rank)."),
        (2 * _BYTES * rank * out, f"That is B alone, as FFA-LoRA sends it. {both}: A is (rank, in)."),
        (_BYTES * rank * out, f"That is B alone, and one way. {both}: A is (rank, in)."),
        (numbers, "That is how many numbers are sent one way. A float32 has 4 bytes, and they go both ways."),
        (2 * numbers, "That is how many numbers are sent. A float32 has 4 bytes."),
        (8 * right, "Those are bits. A float32 has 4 bytes."),
        (4 * right, "Those are bits, one way. A float32 has 4 bytes, and the adapters go both ways."),
        (2 * right, "A float32 has 4 bytes, and not 8."),
        (rank * right, "The rank counts once in each matrix: A is (rank, in) and B is (out, rank), not squared."),
        (right / rank, "The rank is forgotten. A has a row for each rank, and B a column."),
        (2 * _BYTES * rank * whole, "You multiply out and in. A is (rank, in) and B is (out, rank): they are added."),
        (right / 1000, "Those are thousands of bytes. Give bytes."),
        (right / 1024, "Those are thousands of bytes. Give bytes."),
    )
    for wrong, sentence in known:
        if math.isclose(given, wrong, rel_tol=_EXACT):
            raise NotYet(sentence)
    for name, shape in layers.items():
        if len(layers) > 1 and given in (_BYTES * rank * sum(shape), 2 * _BYTES * rank * sum(shape)):
            raise NotYet(f"That is the adapter of one layer, {name}. Each layer has one.")
    way = "few" if given < right else "many"
    raise NotYet(
        f"{given:,.0f} are too {way}. Write down the shapes of A and B for one layer, count their numbers, and go on from "
        "there: all layers, bytes, both ways."
    )


# Exercise 4: a report that hides nobody

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


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=0, abs_tol=_EXACT) or math.isnan(one) and math.isnan(other)


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
        return one[0] == other[0] and _same(one[1], other[1])
    return _same(one, other)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({value[0]}, {value[1]:.4g})"
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"


def _refuse_near(given: float, known: Sequence[tuple[Any, str]]) -> None:
    for wrong, sentence in known:
        if _same(given, float(wrong)):
            raise NotYet(sentence)


def _compare_all_there(said: dict[str, Any], x: np.ndarray, n: np.ndarray) -> None:
    """Judge a report on clients none of which failed."""
    right, by_client, by_seed = _right_report(x, n), x.mean(axis=0), x.mean(axis=1)
    if said["failed"]:
        raise NotYet(f'Nobody failed, so "failed" must be empty, and it is {said["failed"]}.')
    if not _same(given := said["mean by examples"], right["mean by examples"]):
        _refuse_near(
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
    if not _same(given := said["mean of clients"], right["mean of clients"]):
        _refuse_near(
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
    if not _same(given := said["spread"], right["spread"]):
        over_clients = '"spread": that is over clients: how unequal they are. How sure a mean is, other seeds say.'
        each = (
            '"spread": each client\'s own standard deviation, averaged. Take the mean of clients first, seed by seed.'
        )
        _refuse_near(
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
    if index == worst and _same(mean, by_client[worst]):
        return
    seed, client = np.unravel_index(x.argmin(), x.shape)
    if _same(mean, x.min()) or (index == client and _same(mean, by_client[client])):
        raise NotYet(
            '"worst client": one seed decides, the lowest single number. That is a client with bad luck: take the mean '
            "over seeds first."
        )
    if index == by_client.argmax():
        raise NotYet('"worst client": that is the best one.')
    if index == n.argmin():
        raise NotYet('"worst client": that is the smallest one. How large it is does not matter here.')
    if _same(mean, by_client[worst]):
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
        if mean == 0 or _same(mean, np.nan_to_num(x).mean(axis=0)[index]):
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
        if _same(said[key], right[key]):
            continue
        if math.isnan(said[key]):
            raise NotYet(f'{key!r} is nan. It is over clients that never failed; those that did are named in "failed".')
        known = [(values[key], f"{key!r}: {sentence}") for values, sentence in treated]
        known += [(np.nanmean(x), known[0][1]), (np.nanmean(np.nanmean(x, axis=1)), known[0][1])]
        kept = np.setdiff1d(np.arange(len(n)), failed)
        by_all = (x[:, kept].mean(axis=0) @ n[kept]) / n.sum()
        known += [(by_all, f"{key!r}: you divide by the sizes of all. Divide by those of the clients that are left.")]
        _refuse_near(said[key], known)
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


# Exercise 5: a fair comparison

_Part = tuple[np.ndarray, np.ndarray]
_Parts = list[_Part]


def _five_steps(weights: np.ndarray, x: np.ndarray, y: np.ndarray, rate: float) -> np.ndarray:
    for _ in range(5):
        weights = weights - rate * x.T @ (1 / (1 + np.exp(-x @ weights)) - y) / len(y)
    return weights


def _hits(models: Sequence[np.ndarray], parts: _Parts) -> list[np.ndarray]:
    return [(x @ weights > 0) == (y == 1) for weights, (x, y) in zip(models, parts, strict=True)]


def _share_right(models: Sequence[np.ndarray], parts: _Parts) -> float:
    return float(np.concatenate(_hits(models, parts)).mean())


def _mean_share(models: Sequence[np.ndarray], parts: _Parts) -> float:
    return float(np.mean([hits.mean() for hits in _hits(models, parts)]))


def _sizes(parts: _Parts) -> np.ndarray:
    return np.array([len(y) for _, y in parts])


def _history(train: _Parts, rounds: int, rate: float, shares: np.ndarray) -> list[np.ndarray]:
    """Return the global model after each round."""
    weights, found = np.zeros(train[0][0].shape[1]), []
    for _ in range(rounds):
        weights = np.average([_five_steps(weights, x, y, rate) for x, y in train], axis=0, weights=shares)
        found.append(weights)
    return found


def _alone(train: _Parts, rounds: int, rate: float, start: np.ndarray | None = None) -> list[np.ndarray]:
    """Return a model for each client that trains by itself."""
    models = []
    for x, y in train:
        weights = np.zeros(x.shape[1]) if start is None else start
        for _ in range(rounds):
            weights = _five_steps(weights, x, y, rate)
        models.append(weights)
    return models


def _pooled(*groups: _Parts) -> _Parts:
    """Put rows of the same client together."""
    return [
        (np.vstack([x for x, _ in parts]), np.concatenate([y for _, y in parts])) for parts in zip(*groups, strict=True)
    ]


def _right_comparison(train: _Parts, validation: _Parts, test: _Parts, rounds: int, rate: float) -> dict[str, Any]:
    history = _history(train, rounds, rate, _sizes(train))
    best = int(np.argmax([_share_right([weights] * len(train), validation) for weights in history]))
    return {
        "rounds": best + 1,
        "weights": history[best],
        "federated": _share_right([history[best]] * len(train), test),
        "local only": _share_right(_alone(train, best + 1, rate), test),
    }


def _clients(seed: int, sizes: Sequence[int], d: int = 4) -> tuple[_Parts, _Parts, _Parts]:
    """Return training, validation and test rows of clients that differ, with labels of which some are wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=d)
    parts: tuple[_Parts, _Parts, _Parts] = ([], [], [])
    for size in sizes:
        own, centre = truth + 0.8 * rng.normal(size=d), 0.7 * rng.normal(size=d)
        for part, count in zip(parts, (size, size // 4 + 9, size + 40), strict=True):
            x = centre + rng.normal(size=(count, d))
            part.append((x, ((x @ own > 0) != (rng.random(count) < 0.2)).astype(float)))
    return parts


def _other_labels(parts: _Parts) -> _Parts:
    return [(x, 1 - y) for x, y in parts]


def _comparison(
    answer: Callable[..., Any], train: _Parts, validation: _Parts, test: _Parts, rounds: int, rate: float
) -> dict[str, Any]:
    """Return what an answer compares, as plain numbers and an array."""
    groups = (train, validation, test)
    given = [[(x.copy(), y.copy()) for x, y in parts] for parts in groups]
    with np.errstate(all="ignore"):
        result = call(answer, *given, rounds, rate)
    for now, before in zip(given, groups, strict=True):
        if len(now) != len(before) or not all(
            np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])
            for one, other in zip(now, before, strict=True)
        ):
            raise NotYet("fair_comparison must leave the lists and arrays that it gets as they are.")
    keys = ("rounds", "weights", "federated", "local only")
    if not isinstance(result, Mapping) or any(key not in result for key in keys):
        raise NotYet(f"fair_comparison must return a dict with the keys {', '.join(map(repr, keys))}.")
    numbers = {key: number(result[key]) for key in ("rounds", "federated", "local only")}
    if numbers["rounds"] not in range(1, rounds + 1):
        zero = " The first round is number 1." if numbers["rounds"] == 0 else ""
        raise NotYet(f'"rounds" must be a whole number from 1 to {rounds}, and is {numbers["rounds"]:g}.{zero}')
    for key in ("federated", "local only"):
        if not 0 <= numbers[key] <= 1:
            raise NotYet(f"{key!r} must be a share of the test rows, from 0 to 1, and is {numbers[key]:g}.")
    try:
        weights = np.asarray(result["weights"], dtype=float)
    except (TypeError, ValueError):
        raise NotYet('"weights" must be an array of numbers.') from None
    d = train[0][0].shape[1]
    if weights.shape != (d,) or not np.isfinite(weights).all():
        raise NotYet(f'"weights" must be {d} finite numbers, those of the model after the chosen round.')
    return {**numbers, "rounds": int(numbers["rounds"]), "weights": weights}


_SEED, _CLIENT_SIZES, _ROUNDS, _RATE = 2092, (12, 90, 30), 12, 0.2  # each mistake shows with these


def _test_comparison(answer: Callable[..., Any]) -> str:
    train, validation, test = _clients(_SEED, _CLIENT_SIZES)
    said = _comparison(answer, train, validation, test, _ROUNDS, _RATE)
    other = _comparison(answer, train, validation, _other_labels(test), _ROUNDS, _RATE)
    if said["rounds"] != other["rounds"]:
        raise NotYet(
            f"Test labels change, and {other['rounds']} rounds are chosen in place of {said['rounds']}. The test rows judge "
            "what was chosen, so they must not choose. For that there are validation rows."
        )
    if not np.allclose(said["weights"], other["weights"], rtol=0, atol=_CLOSE):
        raise NotYet("Test labels change, and with them the model: test rows are among those that train it.")
    _refuse_weights(said, train, validation, test)
    _refuse_rounds(said, train, validation)
    _refuse_federated(said, train, validation, test)
    _refuse_local(said, train, validation, test)
    _compare_other_federations(answer)
    return (
        f"{said['rounds']} of {_ROUNDS} rounds; federated {said['federated']:.3f}, local only {said['local only']:.3f}. None "
        "of the three mistakes raises an error, and each moves a number: two of them in favour of the federation."
    )


def _refuse_weights(said: dict[str, Any], train: _Parts, validation: _Parts, test: _Parts) -> None:
    """Compare the model with that of the round which the answer names."""
    count, given = said["rounds"], said["weights"]
    rows, equal = _sizes(train), np.ones(len(train))
    by_rows = _history(train, _ROUNDS, _RATE, rows)
    if np.allclose(given, by_rows[count - 1], rtol=0, atol=_CLOSE):
        return
    plain = _history(train, _ROUNDS, _RATE, equal)
    if any(np.allclose(given, weights, rtol=0, atol=_CLOSE) for weights in plain):
        raise NotYet(
            "All clients count the same in the mean of models. FedAvg weighs them by their training rows: one with 12 rows "
            "must not count as much as one with 90."
        )
    for shares, what in (
        (_sizes(validation), "validation rows"),
        (_sizes(test), "test rows"),
        (rows + _sizes(validation) + _sizes(test), "all their rows"),
    ):
        if np.allclose(given, _history(train, _ROUNDS, _RATE, shares)[count - 1], rtol=0, atol=_CLOSE):
            raise NotYet(f"The models are weighed by {what}. Weigh them by training rows.")
    together = _pooled(train, validation)
    for shares in (_sizes(together), rows, equal):
        if np.allclose(given, _history(together, _ROUNDS, _RATE, shares)[count - 1], rtol=0, atol=_CLOSE):
            raise NotYet("Validation rows train the model, too. Then they cannot say when to stop.")
    for place, weights in enumerate(by_rows, 1):
        if np.allclose(given, weights, rtol=0, atol=_CLOSE):
            raise NotYet(
                f'"rounds" says {count}, and "weights" are those after round {place}. Both must be of the chosen round.'
            )
    if any(np.allclose(given, weights, rtol=0, atol=_CLOSE) for weights in _alone(train, count, _RATE)):
        raise NotYet('"weights" are those of one client alone. They must be those of the federation.')
    once = np.average(_alone(train, count, _RATE), axis=0, weights=rows)
    if np.allclose(given, once, rtol=0, atol=_CLOSE):
        raise NotYet("The clients' models are averaged once, at the end. They must be averaged after every round.")
    one = [(np.vstack([x for x, _ in train]), np.concatenate([y for _, y in train]))]
    if np.allclose(given, _alone(one, count, _RATE)[0], rtol=0, atol=_CLOSE):
        raise NotYet("That is a model of pooled rows. The rows stay with their clients.")
    right = by_rows[count - 1].round(3).tolist()
    raise NotYet(
        f"After {count} rounds the weights must be {right}, and are {given.round(3).tolist()}. A round is five_steps at each "
        "client from the global weights, then the mean by training rows."
    )


def _refuse_rounds(said: dict[str, Any], train: _Parts, validation: _Parts) -> None:
    count, many = said["rounds"], len(train)
    history = _history(train, _ROUNDS, _RATE, _sizes(train))
    shares = [_share_right([weights] * many, validation) for weights in history]
    right = int(np.argmax(shares)) + 1
    if count == right:
        return
    ties = [place for place, share in enumerate(shares, 1) if share == max(shares)]
    by_train = int(np.argmax([_share_right([weights] * many, train) for weights in history])) + 1
    by_client = int(np.argmax([_mean_share([weights] * many, validation) for weights in history])) + 1
    if count in ties:
        raise NotYet(f"Rounds {ties} are equally good on validation rows. Take the first: it costs least.")
    if count == _ROUNDS:
        raise NotYet("The last round is taken. Choose the one that is best on validation rows.")
    if count == by_train:
        raise NotYet("The round is chosen on training rows, which the model has seen. Choose on validation rows.")
    if count == by_client:
        raise NotYet(
            "The round is chosen by the mean of the clients' accuracies. Choose by the share of all validation rows."
        )
    if count == int(np.argmin(shares)) + 1:
        raise NotYet("You take the round that is worst on validation rows.")
    raise NotYet(
        f"Round {count} is chosen, with {shares[count - 1]:.3f} of the validation rows right. After round {right} it is "
        f"{shares[right - 1]:.3f}."
    )


def _refuse_federated(said: dict[str, Any], train: _Parts, validation: _Parts, test: _Parts) -> None:
    given, many, weights = said["federated"], len(train), said["weights"]
    right = _share_right([weights] * many, test)
    if _same(given, right):
        return
    last = _history(train, _ROUNDS, _RATE, _sizes(train))[-1]
    best = max(_share_right([one] * many, test) for one in _history(train, _ROUNDS, _RATE, _sizes(train)))
    _refuse_near(
        given,
        [
            (
                _mean_share([weights] * many, test),
                '"federated" is the mean of the clients\' accuracies. It must be the share of all test rows.',
            ),
            (
                _share_right([weights] * many, validation),
                '"federated" is measured on validation rows, which have chosen.',
            ),
            (_share_right([weights] * many, train), '"federated" is measured on training rows.'),
            (_share_right([last] * many, test), '"federated" is that of the last round, not of the chosen one.'),
            (best, '"federated" is the best of all rounds on test rows. It must be that of the chosen round.'),
        ],
    )
    raise NotYet(
        f'"federated" must be {right:.4f}, the share of all test rows that "weights" gets right, and is {given:.4f}.'
    )


def _refuse_local(said: dict[str, Any], train: _Parts, validation: _Parts, test: _Parts) -> None:
    given, count = said["local only"], said["rounds"]
    models = _alone(train, count, _RATE)
    right = _share_right(models, test)
    if _same(given, right):
        return
    fewer = (
        f'"local only" gets five steps, and a client of the federation has taken {5 * count}. Who trains less loses: give '
        "both the same number of steps."
    )
    from_federation = (
        '"local only" is what the federation\'s model reaches, with or without fine-tuning. It must begin from zeros.'
    )
    averaged = np.average(models, axis=0, weights=_sizes(train))
    everybody = [(np.vstack([x for x, _ in test]), np.concatenate([y for _, y in test]))] * len(train)
    _refuse_near(
        given,
        [
            (_share_right(_alone(train, 1, _RATE), test), fewer),
            (
                _share_right(_alone(train, _ROUNDS, _RATE), test),
                f'"local only" trains for all {_ROUNDS} rounds, the federation for {count}. Give both the same number of '
                "steps.",
            ),
            (
                _share_right(_alone(train, count, _RATE, said["weights"]), test),
                from_federation,
            ),
            (
                _share_right(_alone(train, 1, _RATE, said["weights"]), test),
                from_federation,
            ),
            (
                _mean_share(models, test),
                '"local only" is the mean of the clients\' accuracies, and "federated" the share of all rows. Measure both '
                "alike.",
            ),
            (
                _share_right(models, everybody),
                "\"local only\": each client's model is measured on all clients' test rows. It is for its own.",
            ),
            (
                _share_right([averaged] * len(train), test),
                '"local only" is the mean of models. Each client uses its own.',
            ),
            (_share_right(models, validation), '"local only" is measured on validation rows.'),
            (_share_right(models, train), '"local only" is measured on training rows, which its model has seen.'),
            (said["federated"], from_federation),
        ],
    )
    raise NotYet(
        f'"local only" must be {right:.4f}, and is {given:.4f}: each client from zeros, {5 * count} steps on its own rows, '
        "measured on its own test rows; the share of all rows."
    )


def _compare_other_federations(answer: Callable[..., Any]) -> None:
    for seed, sizes, d, rounds, rate, what in (
        (1, (50,), 3, 6, 0.5, "there is one client"),
        (2, (15, 40, 8, 25, 60), 5, 7, 0.8, "there are five clients"),
        (3, (30, 10), 4, 1, 0.3, "there is one round"),
    ):
        groups = _clients(seed, sizes, d)
        said = _comparison(answer, *groups, rounds, rate)
        right = _right_comparison(*groups, rounds, rate)
        for key, value in right.items():
            if not np.allclose(said[key], value, rtol=0, atol=_CLOSE):
                raise NotYet(f"All is right for three clients. If {what}, {key!r} is wrong.")


# Exercise 6: a card


def _test_card(answer: Any, *, try_card: Callable[[int], Sequence[float]]) -> str:
    first, word = _two(answer, 'a number and a word, such as (4, "undecided")')
    value = number(first)
    if value not in range(1, len(CARDS) + 1):
        raise NotYet(f"The number of a card is from 1 to {len(CARDS)}, and it is {value:g}.")
    word = word.strip().lower() if isinstance(word, str) else repr(word)
    if word not in _WORDS:
        raise NotYet(f"The second part must be one of {', '.join(map(repr, _WORDS))}, and it is {word!r}.")
    try:
        differences = np.asarray(try_card(int(value)), dtype=float)
    except InputError as error:
        raise NotYet(f"{error}.") from None
    clear = is_clear(differences.tolist())
    right = "undecided" if not clear else "confirmed" if differences.mean() > 0 else "refuted"
    if word != right:
        _refuse_word(word, right, differences)
    card = CARDS[int(value) - 1]
    return (
        f"{right.capitalize()}, in this small version with {len(differences)} seeds: {_mean_and_error(differences)}. A small "
        f"version says nothing about larger ones. What this workbook found: {card.found}"
    )


def _mean_and_error(differences: np.ndarray) -> str:
    return f"mean difference {differences.mean():.3g}, standard error {standard_error(differences.tolist()):.2g}"


def _refuse_word(word: str, right: str, differences: np.ndarray) -> None:
    n, needed = len(differences), errors_needed(len(differences))
    ahead = int((differences > 0).sum())
    if right == "undecided":
        if not np.isfinite(differences).all():
            why = "One seed has no number, so nothing is clear"
        elif n < 2:
            why = "One seed says nothing about others"
        elif 0 < ahead < n or not differences.all():
            why = f"The difference is above 0 in {ahead} of {n} seeds, and not in the others"
        else:
            why = (
                f"All {n} seeds have one sign, but the {_mean_and_error(differences)}: it would take {needed:.2f} standard "
                "errors"
            )
        none = " To find no clear difference is no proof that there is none." if word == "refuted" else ""
        raise NotYet(f"{why}.{none}")
    if word == "undecided":
        raise NotYet(
            f"All {n} seeds have one sign, and the {_mean_and_error(differences)}: more than {needed:.2f} standard errors "
            "from 0. That is clear."
        )
    side = "above" if right == "confirmed" else "below"
    raise NotYet(
        f"It is clear, and the other way round: all differences are {side} 0. A difference above 0 speaks for the claim."
    )


verdict = Exercise(
    name="verdict",
    kind="predict",
    difficulty="easy",
    minutes=3,
    hints=(
        "Go down the table of rules with the answers of the case. The first rule with a verdict that fits decides.",
        "Which rule says 'centralize', and which of its two answers does the case have already?",
    ),
    solution_code="""
        prediction = ("federate (cross-silo)", "right")
    """,
    test=_test_verdict,
)

product_of_means = Exercise(
    name="product_of_means",
    kind="code",
    difficulty="medium",
    minutes=7,
    hints=(
        "Take two clients with B = 1, A = 1 and B = -1, A = -1. What does each add to the layer? And the mean of B times the "
        "mean of A?",
        "Multiply B @ A for each client first, (d_out, d_in) each. np.average takes weights, and divides by their sum.",
    ),
    solution_code="""
        def exact_update(factors, weights):
            return np.average([B @ A for B, A in factors], axis=0, weights=weights)
    """,
    test=_test_exact_update,
)

bytes_of_lora = Exercise(
    name="bytes_of_lora",
    kind="predict",
    difficulty="easy",
    minutes=4,
    hints=(
        "For one layer (out, in) A is (rank, in) and B is (out, rank). How many numbers are that?",
        "rank * (out + in) for each layer; 4 bytes a number; once from the server, once back.",
    ),
    solution_code="""
        bytes_a_round = 2 * 4 * asked_rank * sum(sum(shape) for shape in asked_layers.values())
    """,
    test=_test_bytes,
)

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

bug_hunt = Exercise(
    name="bug_hunt",
    kind="code",
    difficulty="hard",
    minutes=12,
    hints=(
        "Ask of each line: which rows decide here? Who counts how much? And has the other side had as many steps?",
        "Choose with validation in place of test; average with weights=[len(y) for _, y in train]; and let every client "
        "alone take five_steps as often as the chosen number of rounds.",
    ),
    solution_code="""
        def fair_comparison(train, validation, test, rounds, rate):
            zeros, history = np.zeros(train[0][0].shape[1]), []
            for _ in range(rounds):
                start = history[-1] if history else zeros
                models = [five_steps(start, x, y, rate) for x, y in train]
                history.append(np.average(models, axis=0, weights=[len(y) for _, y in train]))
            shares = [share_right([weights] * len(train), validation) for weights in history]
            best = int(np.argmax(shares))
            alone = [zeros] * len(train)
            for _ in range(best + 1):
                alone = [five_steps(own, x, y, rate) for own, (x, y) in zip(alone, train)]
            return {
                "rounds": best + 1,
                "weights": history[best],
                "federated": share_right([history[best]] * len(train), test),
                "local only": share_right(alone, test),
            }
    """,
    test=_test_comparison,
)

card = Exercise(
    name="card",
    kind="explore",
    difficulty="easy",
    minutes=5,
    hints=(
        "try_card(number) gives a difference for each seed; above 0 it speaks for the claim. Have all seeds the same sign?",
        "metrics.is_clear(try_card(number)) says whether other seeds would agree. If it is False the card is undecided.",
    ),
    solution_code="""
        outcome = (4, "undecided")
        if metrics.is_clear(try_card(4)):
            outcome = (4, "confirmed" if np.mean(try_card(4)) > 0 else "refuted")
    """,
    test=_test_card,
)

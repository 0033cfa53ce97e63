"""Exercise 2 of notebook 12: the mean of products."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call

_CLOSE = 1e-6  # as far as weights and means may be off


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

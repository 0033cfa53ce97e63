"""Intervals: exact cases, and the share of simulated samples in which the true value lies inside."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.metrics.intervals import Interval, Z, auc_interval, paired_difference, wilson
from fedlearn_helpers.metrics.roc import auc


def accuracy(scores, labels):
    return float(((scores >= 0.5) == labels).mean())


def share_inside(draw, count=2000):
    """The share of samples whose interval holds the true value; draw(rng) returns an interval and the truth."""
    rng = np.random.default_rng(0)
    return np.mean([truth in interval for interval, truth in (draw(rng) for _ in range(count))])


# Proportions


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (1, 1), (0, 37), (35, 37), (37, 37), (50, 100), (1, 2)])
def test_wilson_is_that_of_scipy(successes, trials):
    found, expected = wilson(successes, trials), binomtest(successes, trials).proportion_ci(0.95, "wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.value == successes / trials and found.value in found


def test_wilson_ends_where_the_score_is_z():
    found = wilson(35, 37)
    for end in (found.low, found.high):
        assert abs(35 / 37 - end) == pytest.approx(Z * math.sqrt(end * (1 - end) / 37))
    assert wilson(0, 5).low == 0 and wilson(5, 5).high == 1 and wilson(5, 5).low == pytest.approx(5 / (5 + Z**2))


def exact_coverage(interval_of, p, n):
    """The coverage of an interval of a binomial: the sum over all possible counts."""
    return sum(
        math.comb(n, k) * p**k * (1 - p) ** (n - k)
        for k in range(n + 1)
        if interval_of(k, n)[0] <= p <= interval_of(k, n)[1]
    )


def test_wilson_keeps_its_coverage_and_the_textbook_interval_does_not():
    def of_wilson(k, n):
        return wilson(k, n).low, wilson(k, n).high

    def of_wald(k, n):
        half = Z * math.sqrt(k / n * (1 - k / n) / n)
        return k / n - half, k / n + half

    grid = np.linspace(0.05, 0.95, 181)
    for n, least in ((37, 0.90), (100, 0.92)):
        assert np.mean([exact_coverage(of_wilson, p, n) for p in grid]) == pytest.approx(0.95, abs=0.006)
        assert min(exact_coverage(of_wilson, p, n) for p in grid) > least
    assert exact_coverage(of_wald, 0.95, 37) < 0.86, "negative control"


@pytest.mark.parametrize(
    ("successes", "trials", "said"),
    [
        (0, 0, "trials"),
        (-1, 3, "successes"),
        (4, 3, "successes must be <= trials"),
        (1.5, 3, "successes"),
        (1, "3", "trials"),
    ],
)
def test_counts_that_are_none(successes, trials, said):
    with pytest.raises(InputError, match=said):
        wilson(successes, trials)


def test_an_interval_reads_as_text():
    assert str(Interval(0.9459, 0.8229, 0.9851)) == "0.95 [0.82, 0.99]"
    assert 0.83 in Interval(0.9, 0.8, 1.0) and 0.79 not in Interval(0.9, 0.8, 1.0)


# The AUC


def normal_rows(rng, positives, negatives, distance, spread=1.0):
    labels = np.arange(positives + negatives) < positives
    scores = rng.standard_normal(labels.size)
    return np.where(labels, spread * scores + distance, scores), labels


def test_ends_of_the_auc_are_where_the_score_is_z():
    """By the equation, written out once more: 3 positives, 2 negatives, 5 of 6 pairs in order."""
    found = auc_interval(np.array([5, 4, 2, 3, 1]), np.array([1, 1, 1, 0, 0]))
    assert found.value == 5 / 6
    for t in (found.low, found.high):
        variance = t * (1 - t) / 6 * (1 + 1.5 * (1 - t) / (2 - t) + 1.5 * t / (1 + t))
        if t < 1:
            assert abs(5 / 6 - t) == pytest.approx(Z * math.sqrt(variance))
    assert 0 < found.low < 0.5 and found.high < 1


def test_with_two_rows_it_is_wilson_of_one_pair():
    """N is 0, and what is left of the variance is that of one pair: t (1 - t)."""
    found, expected = auc_interval(np.array([1, 0]), np.array([1, 0])), wilson(1, 1)
    assert (found.value, found.low, found.high) == pytest.approx((1, expected.low, 1))


def test_a_perfect_auc_has_a_width():
    for positives, negatives, least, most in ((35, 2, 0.55, 0.62), (50, 50, 0.92, 0.98)):
        labels = np.arange(positives + negatives) < positives
        found = auc_interval(labels.astype(float), labels)
        assert found.value == found.high == 1 and least < found.low < most, found
        mirrored = auc_interval(-labels.astype(float), labels)
        assert mirrored.value == mirrored.low == 0 and mirrored.high == pytest.approx(1 - found.low)


def de_long(scores, labels):
    """The usual interval: variances of the shares of pairs, row by row (DeLong et al. 1988)."""
    above = (scores[labels][:, None] > scores[~labels]) * 1.0
    variance = above.mean(1).var(ddof=1) / labels.sum() + above.mean(0).var(ddof=1) / (~labels).sum()
    value, half = above.mean(), Z * math.sqrt(variance)
    return Interval(value, value - half, value + half)


@pytest.mark.slow
@pytest.mark.parametrize("true_auc", [0.7, 0.9])
@pytest.mark.parametrize(("positives", "negatives"), [(35, 2), (34, 3), (20, 17), (75, 25)])
def test_auc_interval_keeps_its_coverage(positives, negatives, true_auc):
    distance = norm.ppf(true_auc) * math.sqrt(2)

    def draw(rng, of=auc_interval):
        return of(*normal_rows(rng, positives, negatives, distance)), true_auc

    assert 0.94 <= share_inside(draw) <= 0.985
    if negatives <= 3:
        assert share_inside(lambda rng: draw(rng, de_long)) < 0.85, "negative control"


def test_where_the_auc_interval_fails():
    """Two negatives that spread twice as wide as the positives: said in the docstring, so held to it."""
    distance = norm.ppf(0.85) * math.sqrt(1.25)
    inside = share_inside(lambda rng: (auc_interval(*normal_rows(rng, 35, 2, distance, 0.5)), 0.85))
    assert 0.86 < inside < 0.92


def test_an_auc_of_one_class():
    with pytest.raises(InputError, match="37 positive and 0 negative rows"):
        auc_interval(np.arange(37.0), np.ones(37))


# Paired differences


def two_models(rng, positives, negatives):
    """Two scores that are hard for the same rows, with true AUCs of .80 and .74."""
    labels = np.arange(positives + negatives) < positives
    both = 0.9 * rng.standard_normal(labels.size)
    noise = math.sqrt(1 - 0.81) * rng.standard_normal((2, labels.size))
    return both + noise[0] + 1.2 * labels, both + noise[1] + 0.9 * labels, labels


def test_the_same_model_twice_does_not_differ():
    first, _, labels = two_models(np.random.default_rng(0), 20, 17)
    found = paired_difference(auc, first, first, labels, draws=100, seed=0)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_difference_changes_its_sign_and_keeps_its_seed():
    first, second, labels = two_models(np.random.default_rng(1), 20, 17)
    one, other = (paired_difference(auc, *pair, labels, 200, 5) for pair in ((first, second), (second, first)))
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))
    assert one == paired_difference(auc, first, second, labels, 200, 5)
    assert one != paired_difference(auc, first, second, labels, 200, 6)
    assert one.value == auc(first, labels) - auc(second, labels)


def test_pairs_tell_more_than_two_intervals():
    first, second, labels = two_models(np.random.default_rng(2), 41, 50)
    paired = paired_difference(auc, first, second, labels, 400, 0)
    apart = [auc_interval(scores, labels) for scores in (first, second)]
    unpaired = math.hypot(*(interval.high - interval.low for interval in apart))
    assert paired.high - paired.low < 0.75 * unpaired


def test_both_models_see_the_same_rows():
    """A constant less on every row: with rows drawn for each model alone the interval would have a width."""
    labels = np.arange(30) % 2 == 0
    scores = np.random.default_rng(0).random(30)
    found = paired_difference(lambda some, _: float(some.mean()), scores, scores - 0.25, labels, 100, 0)
    assert (found.low, found.high) == pytest.approx((0.25, 0.25))


@pytest.mark.slow  # 14 s
def test_paired_difference_keeps_its_coverage_with_many_rows_alone():
    truth = norm.cdf(1.2 / math.sqrt(2)) - norm.cdf(0.9 / math.sqrt(2))

    def draw(positives, negatives):
        def once(rng):
            return paired_difference(auc, *two_models(rng, positives, negatives), 200, int(rng.integers(2**31))), truth

        return once

    assert 0.92 <= share_inside(draw(41, 50), 500) <= 0.98
    assert 0.60 <= share_inside(draw(35, 2), 500) <= 0.82, "said in the docstring"


def test_accuracy_can_be_compared_too():
    labels = np.array([1, 1, 0, 0, 1, 0])
    found = paired_difference(accuracy, labels * 1.0, 1.0 - labels, labels, 100, 0)
    assert (found.value, found.low, found.high) == (1, 1, 1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels": np.ones(6)}, "both classes"),
        ({"second": np.ones(5)}, "one for each row"),
        ({"second": np.full(6, math.nan)}, "finite"),
        ({"draws": 99}, "draws must be a whole number >= 100"),
        ({"seed": -1}, "seed must be a whole number >= 0"),
    ],
)
def test_what_cannot_be_compared(changed, said):
    given = {"first": np.arange(6.0), "second": np.arange(6.0), "labels": np.arange(6) % 2, "draws": 100, "seed": 0}
    with pytest.raises(InputError, match=said):
        paired_difference(auc, **{**given, **changed})

"""Calibration: against scikit-learn, closed forms, and models that are calibrated because their labels were drawn."""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.metrics.calibration import (
    brier_score,
    calibration_in_the_large,
    calibration_intercept,
    calibration_slope,
    errors_of_calibrated,
    expected_calibration_error,
    reliability_table,
    shift_log_odds,
)
from fedlearn_helpers.metrics.intervals import wilson
from fedlearn_helpers.metrics.roc import auc


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def calibrated(rng, count, middle=0.0, spread=1.2):
    """Probabilities, and labels drawn by them."""
    p = sigmoid(middle + spread * rng.standard_normal(count))
    return p, rng.random(count) < p


# Bins


def test_bins_by_hand():
    p, y = np.array([0.9, 0.1, 0.2, 0.7]), np.array([1, 0, 1, 1])
    low, high = reliability_table(p, y, 2)
    assert (low.rows, low.mean_probability, low.share) == (2, pytest.approx(0.15), wilson(1, 2))
    assert (high.rows, high.mean_probability, high.share) == (2, pytest.approx(0.8), wilson(2, 2))
    assert expected_calibration_error(p, y, 2) == pytest.approx((0.35 + 0.2) / 2)


def test_equal_probabilities_share_a_bin():
    p, y = np.array([0.3] * 7 + [0.6] * 3), np.array([1, 0] * 5)
    assert [row.rows for row in reliability_table(p, y, 5)] == [7, 3]
    assert [row.rows for row in reliability_table(np.full(9, 0.5), np.ones(9), 5)] == [9]


@pytest.mark.parametrize("num_bins", [1, 3, 5, 50])
def test_every_row_is_in_one_bin(num_bins):
    p, y = calibrated(np.random.default_rng(0), 37)
    rows = [row.rows for row in reliability_table(p, y, num_bins)]
    assert sum(rows) == 37 and len(rows) == min(num_bins, 37) and max(rows) - min(rows) <= 1


def test_error_is_the_weighted_mean_of_the_table():
    p, y = calibrated(np.random.default_rng(1), 61)
    table = reliability_table(p, y, 5)
    by_table = sum(row.rows * abs(row.mean_probability - row.share.value) for row in table) / 61
    assert expected_calibration_error(p, y, 5) == pytest.approx(by_table)
    assert expected_calibration_error(p, y, 1) == pytest.approx(abs(calibration_in_the_large(p, y)))


def test_chance_alone_makes_errors_and_more_of_them_in_small_sets():
    bias = {n: errors_of_calibrated(np.arange(0.5, n) / n, 5, 1000, 0).mean() for n in (37, 100, 1000)}
    assert bias == pytest.approx({37: 0.12, 100: 0.07, 1000: 0.023}, rel=0.06), "as the docstring says"
    assert not errors_of_calibrated(np.array([0.0, 1.0, 1.0]), 2, 10, 0).any(), "no chance, no error"


def test_a_calibrated_model_is_within_chance_and_an_overconfident_one_is_not():
    p, y = calibrated(np.random.default_rng(2), 400)
    sure = sigmoid(3 * np.log(p / (1 - p)))
    for said, is_calibrated in ((p, True), (sure, False)):
        by_chance = errors_of_calibrated(said, 5, 500, 0)
        assert (expected_calibration_error(said, y, 5) < np.quantile(by_chance, 0.95)) == is_calibrated


def test_chance_is_that_of_the_labels_drawn():
    """The mean error of labels drawn outside is that of `errors_of_calibrated`."""
    rng = np.random.default_rng(3)
    p = sigmoid(rng.standard_normal(60))
    drawn = [expected_calibration_error(p, rng.random(60) < p, 5) for _ in range(1000)]
    assert np.mean(drawn) == pytest.approx(errors_of_calibrated(p, 5, 1000, 0).mean(), rel=0.05)


# Scores


def test_brier_score_is_that_of_scikit_learn():
    p, y = calibrated(np.random.default_rng(4), 88)
    assert brier_score(p, y) == pytest.approx(brier_score_loss(y, p))
    assert brier_score(np.full(50, 0.94), np.arange(50) < 47) == pytest.approx(0.94 * 0.06), "a constant"
    assert brier_score(np.ones(3), np.ones(3)) == 0


def test_in_the_large_by_hand():
    assert calibration_in_the_large(np.array([0.2, 0.4]), np.array([1, 0])) == pytest.approx(0.2)


# Intercept and slope


def test_intercept_of_a_constant_is_the_difference_of_log_odds():
    y = np.arange(37) < 35
    found = calibration_intercept(np.full(37, 0.5), y)
    assert found.value == pytest.approx(math.log(35 / 2))
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * math.sqrt(1 / 35 + 1 / 2))
    assert calibration_intercept(np.full(37, 35 / 37), y).value == pytest.approx(0, abs=1e-9)


def test_slope_is_that_of_logistic_regression():
    p, y = calibrated(np.random.default_rng(5), 88)
    p = sigmoid(2.5 * np.log(p / (1 - p)))
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(np.log(p / (1 - p))[:, None], y)
    assert calibration_slope(p, y).value == pytest.approx(reference.coef_[0, 0], rel=1e-4)


def test_intercept_mends_the_mean_and_leaves_the_ranking():
    rng = np.random.default_rng(6)
    p, y = calibrated(rng, 120, middle=1.5)
    wrong = sigmoid(np.log(p / (1 - p)) - 2)
    mended = shift_log_odds(wrong, calibration_intercept(wrong, y).value)
    assert abs(calibration_in_the_large(wrong, y)) > 0.2 > 1e-9 > abs(calibration_in_the_large(mended, y))
    assert auc(mended, y) == auc(wrong, y)
    assert brier_score(mended, y) < brier_score(wrong, y)


@pytest.mark.parametrize("shift", [-700.0, -2.0, 0.0, 3.0, 700.0])
def test_shift_adds_to_the_log_odds(shift):
    p = np.array([0.0, 1e-9, 0.3, 0.5, 1 - 1e-9, 1.0])
    found = shift_log_odds(p, shift)
    assert (found[0], found[-1]) == (0, 1) and (np.diff(found) >= 0).all()
    if abs(shift) < 10:
        np.testing.assert_allclose(found[1:-1], sigmoid(np.log(p[1:-1] / (1 - p[1:-1])) + shift), rtol=1e-6)
        np.testing.assert_allclose(shift_log_odds(found, -shift), p, rtol=1e-6)


def test_wide_probabilities_are_found_too():
    """Where a full step of Newton's goes too far: a model that is far too sure."""
    p, y = calibrated(np.random.default_rng(7), 200)
    for factor in (0.01, 0.1, 8, 12):
        said = sigmoid(factor * np.log(p / (1 - p)))
        assert calibration_slope(said, y).value * factor == pytest.approx(calibration_slope(p, y).value, rel=1e-4)
        assert math.isfinite(calibration_intercept(said, y).value)


@pytest.mark.parametrize(("p", "rows", "positive"), [(1e-17, 10, 1), (1e-300, 10, 9), (1 - 1e-16, 100, 30)])
def test_a_constant_next_to_0_or_1_has_an_intercept(p, rows, positive):
    found = calibration_intercept(np.full(rows, p), np.arange(rows) < positive)
    expected = math.log(positive / (rows - positive)) - (math.log(p) - math.log1p(-p))
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.high - found.value == pytest.approx(1.959964 * math.sqrt(1 / positive + 1 / (rows - positive)))


@pytest.mark.parametrize("apart", [1e-4, 1e-7, 1e-9, 1e-12])
def test_slope_of_probabilities_that_are_nearly_equal(apart):
    """In units of their distances it is that of 0, 1, 2, 3."""
    places, y = np.array([0, 1, 2, 0, 3, 1, 2]), np.array([0, 1, 0, 1, 1, 0, 1])
    reference = calibration_slope(sigmoid(places), y)
    found, unit = calibration_slope(0.3 + apart * places, y), apart / (0.3 * 0.7)
    tolerance = 1e-16 / apart + apart  # of rounded probabilities, and of a line in place of a curve
    assert found.value * unit == pytest.approx(reference.value, rel=10 * tolerance)
    assert (found.high - found.low) * unit == pytest.approx(reference.high - reference.low, rel=10 * tolerance)


def test_probabilities_that_are_too_wide_are_refused():
    p, y = np.array([1e-300, 1e-200, 1 - 1e-16, 1 - 1e-16]), np.array([1, 0, 0, 0])
    with pytest.raises(InputError, match="probabilities must be further from 0 and 1: their intercept"):
        calibration_intercept(p, y)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "middle"), [(37, 3.0), (60, 1.4), (88, -0.6)])
def test_intercept_and_slope_keep_their_coverage(count, middle):
    """2,000 calibrated models. With 37 rows, 94 % positive, some have no negative row and some have no slope."""
    rng = np.random.default_rng(8)
    intercepts, slopes, without = [], [], 0
    for _ in range(2000):
        p, y = calibrated(rng, count, middle)
        if y.all():
            without += 1
            continue
        intercepts.append(0 in calibration_intercept(p, y))
        try:
            slopes.append(1 in calibration_slope(p, y))
        except InputError:
            without += 1
    assert 0.93 <= np.mean(intercepts) <= 0.985
    assert 0.93 <= np.mean(slopes) <= 0.995
    assert 0.04 < without / 2000 < 0.12 if count == 37 else without == 0


def test_classes_that_do_not_overlap_have_no_slope():
    y = np.array([0, 0, 1, 1])
    for p in ([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.2, 0.4], [0.9, 0.8, 0.3, 0.2], [0.5, 0.5, 0.5, 0.5]):
        with pytest.raises(InputError, match="must overlap .* 2 positive and 2 negative rows"):
            calibration_slope(np.array(p), y)
        assert math.isfinite(calibration_intercept(np.array(p), y).value)


@pytest.mark.parametrize("measure", [calibration_intercept, calibration_slope])
def test_one_class_has_no_intercept(measure):
    with pytest.raises(InputError, match="labels must hold both classes .* 3 positive and 0 negative"):
        measure(np.array([0.2, 0.5, 0.9]), np.ones(3))
    with pytest.raises(InputError, match="probabilities must be > 0 and < 1"):
        measure(np.array([0.2, 0.5, 1.0]), np.array([0, 1, 1]))


@pytest.mark.parametrize(
    "measure",
    [
        brier_score,
        calibration_in_the_large,
        calibration_intercept,
        calibration_slope,
        lambda p, y: expected_calibration_error(p, y, 5),
        lambda p, y: reliability_table(p, y, 5),
        lambda p, _: errors_of_calibrated(p, 5, 10, 0),
        lambda p, _: shift_log_odds(p, 1.0),
    ],
)
@pytest.mark.parametrize(
    ("wrong", "said"), [(1.1, "probabilities must be >= 0 and <= 1"), (-0.1, "<= 1"), (math.nan, "finite")]
)
def test_what_is_no_probability(measure, wrong, said):
    with pytest.raises(InputError, match=said):
        measure(np.array([0.2, wrong, 0.5]), np.array([0, 1, 1]))


@pytest.mark.parametrize("num_bins", [0, 2.5, "5", None])
def test_what_is_no_number_of_bins(num_bins):
    with pytest.raises(InputError, match="num_bins must be a whole number >= 1"):
        expected_calibration_error(np.array([0.2, 0.5]), np.array([0, 1]), num_bins)


def test_other_arguments_that_cannot_work():
    p = np.array([0.2, 0.5])
    with pytest.raises(InputError, match="draws must be a whole number >= 1"):
        errors_of_calibrated(p, 2, 0, 0)
    with pytest.raises(InputError, match="seed must be a whole number >= 0"):
        errors_of_calibrated(p, 2, 1, -1)
    with pytest.raises(InputError, match="intercept must be >= -700"):
        shift_log_odds(p, math.inf)

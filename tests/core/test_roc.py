"""ROC curves and thresholds: against scikit-learn, against pairs counted one by one, and with one class alone."""

import math
import re

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as reference_curve

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.metrics.roc import at_threshold, auc, roc_curve, threshold_for_sensitivity


def rounded_scores(seed, positives, negatives, digits=1):
    """Scores with many ties, higher for positives on average."""
    rng = np.random.default_rng(seed)
    labels = np.arange(positives + negatives) < positives
    return np.round(rng.standard_normal(labels.size) + labels, digits), labels


# Curve and area


@pytest.mark.parametrize(("positives", "negatives"), [(20, 17), (35, 2), (2, 35), (1, 1), (75, 25)])
def test_curve_and_area_are_those_of_scikit_learn(positives, negatives):
    for seed in range(20):
        scores, labels = rounded_scores(seed, positives, negatives)
        found = roc_curve(scores, labels)
        false, true, thresholds = reference_curve(labels, scores, drop_intermediate=False)
        np.testing.assert_allclose(found.false_positive_rates, false, rtol=1e-12)
        np.testing.assert_allclose(found.sensitivities, true, rtol=1e-12)
        np.testing.assert_array_equal(found.thresholds, thresholds)
        assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
        area = np.trapezoid(found.sensitivities, found.false_positive_rates)
        assert auc(scores, labels) == pytest.approx(area, abs=1e-12)


def test_area_counts_pairs_and_half_of_ties():
    scores, labels = np.array([0.9, 0.4, 0.4, 0.1]), np.array([1, 1, 0, 0])
    assert auc(scores, labels) == 3.5 / 4
    broken = [3 / 4, 1.0]  # negative control: ties by the order of the rows, either way
    assert auc(scores, labels) not in broken


@pytest.mark.parametrize("scores", [[2, 2, 2], [0.5, 0.5, 0.5]])
def test_equal_scores_guess(scores):
    assert auc(np.array(scores), np.array([1, 0, 1])) == 0.5
    np.testing.assert_array_equal(roc_curve(np.array(scores), np.array([1, 0, 1])).sensitivities, [0, 1])


def test_order_of_rows_and_a_rising_function_of_the_scores_change_nothing():
    scores, labels = rounded_scores(3, 12, 9)
    shuffled = np.random.default_rng(0).permutation(21)
    assert auc(scores[shuffled], labels[shuffled]) == auc(scores, labels) == auc(np.exp(scores), labels)
    assert auc(-scores, labels) == pytest.approx(1 - auc(scores, labels))


def test_shares_of_the_classes_do_not_change_the_area():
    scores, labels = rounded_scores(4, 12, 9)
    many = np.concatenate([np.arange(21), *[np.flatnonzero(labels)] * 10])
    assert auc(scores[many], labels[many]) == pytest.approx(auc(scores, labels), abs=1e-15)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("measure", [auc, roc_curve])
def test_one_class_alone_has_no_area(measure, label):
    said = "37 positive and 0 negative rows" if label else "0 positive and 37 negative rows"
    with pytest.raises(InputError, match=f"labels must hold both classes .*, got {said}"):
        measure(np.arange(37.0), np.full(37, label))


@pytest.mark.parametrize("measure", [auc, roc_curve, lambda s, y: at_threshold(s, y, 0.5)])
@pytest.mark.parametrize(
    ("scores", "labels", "said"),
    [
        ([0.1, math.nan], [0, 1], "scores must be finite numbers alone, got nan"),
        ([0.1, -math.inf], [0, 1], "scores must be finite numbers alone, got -inf"),
        (["a", "b"], [0, 1], "scores must be finite numbers alone, got values of the type str"),
        ([0.1, None], [0, 1], "scores must be finite numbers alone, got values of the type object"),
        ([0.1, 0.2], [0, 2], "labels must be 0 or 1 alone, got 2"),
        ([0.1, 0.2], [0, math.nan], "labels must be 0 or 1 alone, got nan"),
        ([0.1, 0.2], [0, "b"], "labels must be finite numbers alone, got values of the type str"),
        ([0.1, 0.2], [0, 1, 1], "one for each row"),
        ([[0.1, 0.2]], [[0, 1]], "one for each row"),
        ([], [], "one for each row"),
    ],
)
def test_rows_that_cannot_be_measured(measure, scores, labels, said):
    with pytest.raises(InputError, match=said):
        measure(np.array(scores), np.array(labels))


# Thresholds


def test_counts_at_a_threshold_by_hand():
    scores, labels = np.array([0.9, 0.5, 0.4, 0.5, 0.2]), np.array([1, 1, 1, 0, 0])
    found = at_threshold(scores, labels, 0.5)  # a score at the threshold is called positive
    assert (found.true_positives, found.positives, found.true_negatives, found.negatives) == (2, 3, 1, 2)
    assert (found.sensitivity, found.specificity) == (2 / 3, 1 / 2)
    assert at_threshold(scores, labels, math.inf).sensitivity == 0
    assert at_threshold(scores, labels, -math.inf).specificity == 0
    for threshold in (math.nan, None, "0.5", np.ones(2)):
        with pytest.raises(InputError, match=re.escape(f"threshold must be a number, got {threshold!r}")):
            at_threshold(scores, labels, threshold)


def test_counts_lie_on_the_curve():
    scores, labels = rounded_scores(5, 35, 2)
    curve = roc_curve(scores, labels)
    for threshold, false, true in zip(curve.thresholds, curve.false_positive_rates, curve.sensitivities, strict=True):
        found = at_threshold(scores, labels, threshold)
        assert (1 - found.specificity, found.sensitivity) == pytest.approx((false, true))


def test_a_site_of_one_class_has_the_other_rate_only():
    found = at_threshold(np.array([0.9, 0.1]), np.array([1, 1]), 0.5)
    assert found.sensitivity == 0.5 and found.negatives == 0 and math.isnan(found.specificity)
    assert math.isnan(at_threshold(np.array([0.9, 0.1]), np.array([0, 0]), 0.5).sensitivity)


@pytest.mark.parametrize("wanted", [0.05, 0.5, 0.7, 0.9, 0.95, 1.0])
def test_threshold_is_the_highest_that_reaches_what_is_wanted(wanted):
    for seed in range(10):
        scores, labels = rounded_scores(seed, 10, 7)
        threshold = threshold_for_sensitivity(scores, labels, wanted)
        assert at_threshold(scores, labels, threshold).sensitivity >= wanted - 1e-9
        above = at_threshold(scores, labels, np.nextafter(threshold, np.inf))
        assert above.sensitivity < wanted - 1e-9, "a higher threshold would do"


def test_seven_of_ten_are_seven():
    assert threshold_for_sensitivity(np.arange(10.0), np.ones(10), 0.7) == 3.0
    assert threshold_for_sensitivity(np.arange(100.0), np.ones(100), 0.07) == 93.0
    assert math.ceil(0.07 * 100) == 8, "negative control: rounding matters here"


def test_own_rows_promise_more_than_other_rows_keep():
    """Of m positives k = ceil(wanted m) are above: on new rows k / (m + 1) on average, an exact result."""
    rng = np.random.default_rng(0)
    own, other = [], []
    for _ in range(2000):
        chosen_on, measured_on = rng.standard_normal((2, 10))
        threshold = threshold_for_sensitivity(chosen_on, np.ones(10), 0.9)
        own.append(at_threshold(chosen_on, np.ones(10), threshold).sensitivity)
        other.append(at_threshold(measured_on, np.ones(10), threshold).sensitivity)
    assert min(own) == 0.9
    assert np.mean(other) == pytest.approx(9 / 11, abs=0.01)


def test_thresholds_that_cannot_be_chosen():
    with pytest.raises(InputError, match="labels must hold a positive row .* got 3 negative rows"):
        threshold_for_sensitivity(np.arange(3.0), np.zeros(3), 0.9)
    for wanted in (0, -0.1, 1.01, math.nan, "0.9", None):
        with pytest.raises(InputError, match="wanted must be > 0 and <= 1"):
            threshold_for_sensitivity(np.arange(3.0), np.ones(3), wanted)

"""Weighted averages and confusion matrices."""

import math

import numpy as np
import pytest

from fedlearn_helpers.metrics import (
    accuracy_by_frequency,
    accuracy_per_class,
    confusion_matrix,
    errors_needed,
    is_clear,
    last_quarter,
    standard_error,
    values_at,
    weighted_average,
)


def test_average_counts_every_example_the_same():
    reports = [{"accuracy": 1.0, "loss": 0.5}, {"accuracy": 0.0, "loss": 2.5}]
    average = weighted_average(reports, [30, 10])
    assert average == {"accuracy": 0.75, "loss": 1.0}
    uniform = {name: sum(report[name] for report in reports) / 2 for name in average}
    assert all(average[name] != uniform[name] for name in average), "negative control: clients must not count equally"


def test_average_is_the_metric_of_the_pooled_examples():
    rng = np.random.default_rng(0)
    clients = [rng.integers(0, 2, size) for size in (1, 5, 20)]
    average = weighted_average([{"a": client.mean()} for client in clients], [len(client) for client in clients])
    assert average["a"] == pytest.approx(np.concatenate(clients).mean())


def test_a_weight_of_zero_leaves_a_report_out():
    assert weighted_average([{"a": 3.0}, {"a": 100.0}], [2, 0]) == {"a": 3.0}


def test_the_order_of_the_metrics_is_that_of_the_first_report():
    assert list(weighted_average([{"b": 1.0, "a": 2.0}, {"a": 1.0, "b": 2.0}], [1, 1])) == ["b", "a"]


@pytest.mark.parametrize("kind", [np.int32, np.uint8, np.int64, np.float32, int])
def test_whatever_kind_of_number_the_weights_are(kind):
    """Sums of NumPy's small integers overflow: three times 2**30 is -2**30, and 200 + 100 is 44."""
    large = 2**30 if kind is not np.uint8 else 200
    assert weighted_average([{"a": 1.0}] * 3, [kind(large)] * 3) == {"a": 1.0}
    assert weighted_average([{"a": 1.0}] * 3, np.full(3, large, kind)) == {"a": 1.0}
    shares = weighted_average([{"a": 1.0}, {"a": 0.0}], [kind(200), kind(100)])
    assert shares == weighted_average([{"a": 1.0}, {"a": 0.0}], [200, 100]) and 0 <= shares["a"] <= 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -1, np.float32("nan")])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_weights_that_cannot_be_normalized(bad, place):
    weights = [1.0, 2.0, 3.0]
    weights[place] = bad
    with pytest.raises(ValueError, match="^weights must be finite, >= 0 and not all zero, got "):
        weighted_average([{"a": 1.0}] * 3, weights)
    with pytest.raises(ValueError, match="must be finite"):
        weighted_average([{"a": 1.0}] * 2, [1e308, 1e308])


def test_predictions_of_nothing_are_not_counted_as_the_last_class():
    with pytest.raises(ValueError, match="whose outputs are not numbers predicts nothing, which is -1"):
        confusion_matrix(np.array([0, 1]), np.array([-1, 1]), 3)
    assert accuracy_per_class(np.array([0, 0, 1]), np.array([-1, 0, -1]), 2).tolist() == [0.5, 0.0]


@pytest.mark.parametrize(
    ("reports", "weights", "message"),
    [
        ([], [], "at least one report"),
        ([{"a": 1.0}], [1, 2], r"one entry per report \(1\), got 2"),
        ([{"a": 1.0}, {"a": 1.0}], [0, 0], r"not all zero, got \[0, 0\]"),
        ([{"a": 1.0}, {"a": 1.0}], [3, -1], r">= 0 and not all zero, got \[3, -1\]"),
        ([{"a": 1.0}, {"b": 1.0}], [1, 1], r"the same metrics, got \[\['a'\], \['b'\]\]"),
        ([{"a": 1.0}, {"a": 1.0, "b": 1.0}], [1, 1], r"the same metrics, got \[\['a'\], \['a', 'b'\]\]"),
    ],
)
def test_impossible_average(reports, weights, message):
    with pytest.raises(ValueError, match=message):
        weighted_average(reports, weights)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32])
@pytest.mark.parametrize("num_classes", [3, 40])
def test_confusion_matrix_counts_pairs(dtype, num_classes):
    """Forty classes: their pairs do not fit into eight bits."""
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, num_classes, (2, 300)).astype(dtype)
    expected = np.zeros((num_classes, num_classes), np.int64)
    for label, prediction in zip(labels, predictions, strict=True):
        expected[label, prediction] += 1
    matrix = confusion_matrix(labels, predictions, num_classes)
    np.testing.assert_array_equal(matrix, expected)
    assert matrix.dtype == np.int64
    assert not np.array_equal(matrix, matrix.T), "negative control: rows must not be columns"


def test_confusion_matrix_of_no_examples_is_zero():
    empty = np.array([], np.int64)
    np.testing.assert_array_equal(confusion_matrix(empty, empty, 2), np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 3], [0, 0], r"labels must be in \[0, 3\), got 0 to 3"),
        ([0, 1], [0, 3], r"predictions must be in \[0, 3\), got 0 to 3"),
        ([0, -1], [0, 0], r"labels must be in \[0, 3\), got -1 to 0"),
        ([0, 1], [0], "one prediction per label"),
        ([0, 1], [0, 1, 2], "one prediction per label"),
    ],
)
def test_impossible_confusion_matrix(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(np.array(labels), np.array(predictions), 3)


def test_predictions_of_nothing_are_wrong_in_every_class():
    labels, predictions = np.array([0, 0, 1], dtype=np.uint8), np.array([0, -1, -1], dtype=np.int8)
    assert accuracy_per_class(labels, predictions, 2).tolist() == [0.5, 0.0]


@pytest.mark.parametrize("table", [accuracy_per_class, confusion_matrix])
def test_tables_of_what_are_no_classes(table):
    for labels in ([0.5, 1.0], [[0, 1]], ["0", "1"]):
        with pytest.raises(ValueError, match="^labels must hold one whole number per example, got "):
            table(labels, [0, 1], 2)


def test_standard_errors_needed_are_students_factors():
    assert [round(errors_needed(count), 1) for count in (2, 3, 4, 5)] == [12.7, 4.3, 3.2, 2.8]
    assert errors_needed(1) == math.inf
    assert errors_needed(10) == errors_needed(1000) == pytest.approx(2.262), "a little strict for many seeds"


@pytest.mark.parametrize(
    ("differences", "clear"),
    [
        ([1.0, 1.1, 1.2], True),
        ([-1.0, -1.1, -1.2], True),
        ([1.0, 2.0, 3.0], False),  # 2 is 3.5 standard errors, and three seeds need 4.3
        ([1.0, 2.0, 3.0, 1.0, 2.0, 3.0], True),  # six need 2.6
        ([9.0] * 9 + [-0.1], False),  # one seed says the opposite
        ([1.0, 1.1], True),
        ([1.0, 1.2], False),  # 11 standard errors, and two seeds need 12.7
        ([0.0, 0.0, 0.0], False),
        ([1.0, 1.1, math.nan], False),
        ([5.0], False),
        ([], False),
    ],
)
def test_a_difference_is_clear_if_all_seeds_agree_and_the_mean_is_many_errors_from_0(differences, clear):
    assert is_clear(differences) is clear


def test_of_equal_methods_one_in_twenty_looks_clear_at_most():
    chance = np.random.default_rng(0)
    for count in (2, 3, 5):
        share = np.mean([is_clear(chance.normal(size=count)) for _ in range(4000)])
        assert 0.02 < share < 0.06


def test_the_standard_error_of_a_mean():
    assert standard_error([1.0, 2.0, 3.0]) == pytest.approx(1 / math.sqrt(3))
    assert math.isnan(standard_error([1.0]))


def test_examples_are_told_apart_by_how_frequent_their_class_is():
    truth, own = np.array([0, 0, 1, 2]), np.array([0] * 9 + [1])
    right = np.array([True, False, True, False])
    assert accuracy_by_frequency(right, truth, own, 0.5) == (0.5, 0.5, 0.5)
    everything, frequent, others = accuracy_by_frequency(right, truth, own, 0.1)
    assert (everything, others) == (0.5, 0.0) and frequent == pytest.approx(2 / 3)
    assert math.isnan(accuracy_by_frequency(right, truth, own, 0.0)[2]), "no class is left"


def test_a_value_holds_until_the_next_change():
    moments = np.array([0, 9.9, 10, 19, 30])
    assert values_at([0, 10, 20], [0.1, 0.2, 0.4], moments).tolist() == [0.1, 0.1, 0.2, 0.2, 0.4]
    assert values_at([10], [0.2], moments).tolist() == [0.0, 0.0, 0.2, 0.2, 0.2], "0 before the first change"


def test_the_last_quarter_is_weighted_by_time():
    times, values = [0, 10, 35], [0.1, 0.2, 0.4]
    assert last_quarter(times, values, 40) == pytest.approx(0.3, abs=0.001), "half of it before second 35"
    assert last_quarter(times, values, 20) == pytest.approx(0.2)
    assert last_quarter(times, values, 1000) == pytest.approx(0.4)
    assert last_quarter([0.0, 0.0], [0.1, 0.5], 0.0) == pytest.approx(0.5), "a run in which no time passes"
    assert last_quarter(np.array([10.0, 35.0]), np.array([0.2, 0.4]), 5.0) == 0.0, "before the first round has ended"

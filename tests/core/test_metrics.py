"""Weighted averages and confusion matrices."""

import numpy as np
import pytest

from fedlearn_helpers.metrics import confusion_matrix, weighted_average


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

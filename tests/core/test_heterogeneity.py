"""How different clients are: distances with known values."""

import numpy as np
import pytest

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.partition import dirichlet
from fedlearn_helpers.partition.counts import class_counts
from fedlearn_helpers.partition.heterogeneity import heterogeneity


def test_equal_mixtures_have_distance_zero():
    measured = heterogeneity(np.array([[10, 20, 30], [1, 2, 3]]))
    assert measured.total_variation == pytest.approx([0, 0], abs=1e-12)
    assert measured.jensen_shannon == pytest.approx([0, 0], abs=1e-7)


def test_ten_clients_with_one_class_each():
    """Total variation is 1 - 1/10; the divergence is that of a point from the uniform distribution."""
    measured = heterogeneity(np.diag([50] * 10))
    assert measured.total_variation == pytest.approx([0.9] * 10)
    middle = 0.55
    divergence = 0.5 * np.log2(1 / middle) + 0.5 * (0.1 * np.log2(0.1 / middle) + 0.9 * np.log2(0.1 / 0.05))
    assert measured.jensen_shannon == pytest.approx([np.sqrt(divergence)] * 10)


def test_two_clients_with_different_classes_are_far_apart_though_classes_are_neighbours():
    """A distance between class numbers would call classes 0 and 1 closer than 0 and 9; these do not."""
    near, far = np.zeros((2, 10)), np.zeros((2, 10))
    near[[0, 1], [0, 1]] = far[[0, 1], [0, 9]] = 100
    assert heterogeneity(near).mean_total_variation == heterogeneity(far).mean_total_variation == pytest.approx(0.5)


def test_a_known_case_by_hand():
    measured = heterogeneity(np.array([[3, 1], [1, 3]]))
    assert measured.total_variation == pytest.approx([0.25, 0.25])
    kl = lambda p, q: p * np.log2(p / q) + (1 - p) * np.log2((1 - p) / (1 - q))  # noqa: E731
    assert measured.jensen_shannon[0] == pytest.approx(np.sqrt((kl(0.75, 0.625) + kl(0.5, 0.625)) / 2))


def test_means_weigh_clients_by_their_examples():
    measured = heterogeneity(np.array([[90, 90], [10, 0]]))
    expected = np.average(measured.total_variation, weights=[180, 10])
    assert measured.mean_total_variation == pytest.approx(expected)
    assert measured.mean_total_variation != pytest.approx(measured.total_variation.mean())
    assert measured.mean_jensen_shannon == pytest.approx(np.average(measured.jensen_shannon, weights=[180, 10]))


def test_a_smaller_alpha_is_more_heterogeneous():
    labels = np.arange(5000) % 10
    distances = [
        heterogeneity(class_counts(labels, dirichlet(labels, 10, alpha=alpha, seed=0), 10)).mean_total_variation
        for alpha in (100, 1, 0.1)
    ]
    assert 0 < distances[0] < distances[1] < distances[2] < 1


def test_counts_have_a_row_per_client_and_a_column_per_class():
    counts = class_counts(np.array([0, 2, 2, 1]), [np.array([0, 1]), np.array([2, 3])], num_classes=4)
    np.testing.assert_array_equal(counts, [[1, 0, 1, 0], [0, 1, 1, 0]])


def test_a_client_without_examples():
    with pytest.raises(InputError, match="every client needs examples, got none for client 1"):
        heterogeneity(np.array([[1, 2], [0, 0]]))


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ([[1, 2], [3, -1]], "counts must be numbers >= 0, got -1$"),
        ([[1, 2], [3, np.nan]], "counts must be numbers >= 0, got nan$"),
        ([[1, np.inf]], "counts must be numbers >= 0, got inf$"),
        (np.zeros((0, 10)), r"counts must have a row per client and a column per class, got shape \(0, 10\)$"),
        ([], r"counts must have a row per client and a column per class, got shape \(0,\)$"),
        ([1, 2], r"counts must have a row per client and a column per class, got shape \(2,\)$"),
    ],
)
def test_counts_that_cannot_be_compared(counts, sentence):
    with pytest.raises(InputError, match=sentence):
        heterogeneity(np.array(counts))


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0, 1, 3], r"labels must be in \[0, 3\), got 0 to 3$"),
        ([0, -1, 2], r"labels must be in \[0, 3\), got -1 to 2$"),
        ([[0, 1], [2, 0]], r"labels must hold one whole number per example, got an array of shape \(2, 2\)$"),
    ],
)
def test_labels_that_cannot_be_counted(labels, sentence):
    with pytest.raises(InputError, match=sentence):
        class_counts(np.array(labels), [np.array([0]), np.array([1])], num_classes=3)

"""What a server reads from one site's answer, and does not from the total."""

import numpy as np
import pytest
from few_rows import Rows, spread, table

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.asking import in_process
from fedlearn_helpers.trees.bins import answer_counts_in_bins, bin_edges
from fedlearn_helpers.trees.boosting import ANSWERS, GRADIENTS_IN_BINS, answer_gradients_in_bins
from fedlearn_helpers.trees.ensemble import one_leaf
from fedlearn_helpers.trees.leaks import counts_of_first, small_bins

RANGES = np.tile([0.0, 8.0], (4, 1))


def first_question(sites, num_bins=8):
    edges = bin_edges(in_process(sites, ANSWERS), RANGES, num_bins)
    return {"edges": edges, "level": np.array([0]), **vars(one_leaf(2))}


def test_the_first_answer_counts_rows_and_labels_per_bin():
    sites = spread(table())
    asked = first_question(sites)
    for site in sites:
        rows, positive = counts_of_first(answer_gradients_in_bins(site, asked), 4)
        assert rows.ravel().tolist() == answer_counts_in_bins(site, asked).tolist()
        with_label = Rows(site.values[site.labels == 1], site.labels[site.labels == 1])
        assert positive.ravel().tolist() == answer_counts_in_bins(with_label, asked).tolist()


def test_a_bin_with_one_row_tells_its_label():
    values = np.array([[7.0, 1, 1, 1]] + [[1.0, 1, 1, 1]] * 9)
    for label in (0, 1):
        site = Rows(values, np.array([label] + [0, 1, 0] * 3))
        rows, positive = counts_of_first(answer_gradients_in_bins(site, first_question([site])), 4)
        single = rows == 1
        assert positive[single].tolist() == [label]
        assert small_bins(rows, 2) == 1


def test_the_total_of_sites_has_fewer_small_bins():
    sites = spread(table())
    edges = first_question(sites)["edges"]
    at_sites = [small_bins(answer_counts_in_bins(site, {"edges": edges}), 5) for site in sites]
    total = in_process(sites, ANSWERS)("counts in bins", {"edges": edges})
    assert small_bins(total, 5) < min(number for number, site in zip(at_sites, sites, strict=True) if len(site.labels))


def test_counts_from_1_to_k_minus_1_are_small():
    counts = np.array([[0, 1, 2], [4, 5, 6]])
    assert [small_bins(counts, least) for least in (2, 3, 5, 6, 100)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("counts", [np.array([-1]), np.array([1.0]), np.array([np.nan])])
def test_numbers_that_are_no_counts(counts):
    with pytest.raises(InputError, match="counts must"):
        small_bins(counts, 2)


def test_answers_to_other_questions():
    rows = table()
    asked = first_question([rows])
    trees = one_leaf(2)
    later = {name: np.concatenate([array, array]) for name, array in vars(trees).items()}
    later["weights"] = later["weights"] + 0.3
    answer = in_process([rows], ANSWERS)(GRADIENTS_IN_BINS, asked | later)
    with pytest.raises(InputError, match="p = 1/2"):
        counts_of_first(answer, 4)
    with pytest.raises(InputError, match="two sums per feature"):
        counts_of_first(answer[:-1], 4)

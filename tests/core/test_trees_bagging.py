"""Trees of each site alone, taken together: not the pooled trees, and worse where sites differ."""

import numpy as np
import pytest
from few_rows import Rows, spread, table

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.asking import in_process
from fedlearn_helpers.trees.bagging import fit_bagging
from fedlearn_helpers.trees.boosting import ANSWERS, TreeConfig, fit_trees

RANGES = np.tile([0.0, 8.0], (4, 1))
CONFIG = TreeConfig(num_trees=6, num_bins=8)


def alone(rows):
    return fit_trees(in_process([rows], ANSWERS), RANGES, CONFIG)


def log_loss(trees, rows):
    p = trees.predict_proba(rows.values)
    return -np.log(np.where(rows.labels == 1, p, 1 - p)).mean()


def test_one_site_bags_its_own_trees():
    assert fit_bagging([table()], RANGES, CONFIG) == alone(table())
    assert fit_bagging([table().only([]), table()], RANGES, CONFIG) == alone(table())


def test_several_sites_add_a_tree_each_to_the_same_model():
    sites = spread(table(), 0, 3)
    trees = fit_bagging(sites, RANGES, CONFIG)
    assert len(trees) == 3 * 6
    for number, site in enumerate(sites):
        assert np.array_equal(trees.features[number], alone(site).features[0])
        assert np.array_equal(trees.weights[number], alone(site).weights[0])


def test_bagged_trees_are_not_the_pooled_ones_and_worse_where_sites_differ():
    rows, unseen = table(0, 400), table(1, 1000)
    order = np.argsort(rows.labels, kind="stable")  # each site has nearly one class
    sites = [rows.only(part) for part in np.array_split(order, 4)]
    bagged, whole = fit_bagging(sites, RANGES, CONFIG), alone(rows)
    assert bagged != whole
    assert log_loss(whole, unseen) + 0.02 < log_loss(bagged, unseen)


def test_no_rows_at_all():
    with pytest.raises(InputError, match="at least one site must have rows"):
        fit_bagging([Rows(np.empty((0, 4)), np.empty(0, np.int64))], RANGES, CONFIG)

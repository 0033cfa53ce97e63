"""Learning without gradients: boosted trees from sums of whole numbers, and what is not equal to them."""

from fedlearn_helpers.trees.bagging import fit_bagging
from fedlearn_helpers.trees.bins import bin_edges, bin_of
from fedlearn_helpers.trees.boosting import ANSWERS, TreeConfig, fit_trees
from fedlearn_helpers.trees.ensemble import Trees
from fedlearn_helpers.trees.leaks import counts_of_first, small_bins

__all__ = [
    "ANSWERS",
    "TreeConfig",
    "Trees",
    "bin_edges",
    "bin_of",
    "counts_of_first",
    "fit_bagging",
    "fit_trees",
    "small_bins",
]

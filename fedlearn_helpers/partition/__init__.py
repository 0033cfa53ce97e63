"""Partition rules: they decide which client holds which examples.

Every rule returns one sorted int64 array of indices per client. The arrays are disjoint and cover the
data. The same seed always gives the same partition.
"""

from fedlearn_helpers.partition.counts import class_counts
from fedlearn_helpers.partition.dirichlet import dirichlet
from fedlearn_helpers.partition.feature_skew import FEATURE_SKEWS, feature_skew
from fedlearn_helpers.partition.heterogeneity import Heterogeneity, heterogeneity
from fedlearn_helpers.partition.iid import iid
from fedlearn_helpers.partition.natural import by_group
from fedlearn_helpers.partition.pathological import classes_per_client
from fedlearn_helpers.partition.quantity import quantity_skew
from fedlearn_helpers.partition.registry import PARTITIONS, make_partition, parse_partition
from fedlearn_helpers.partition.split import Shard, split_train_validation, trim_last_batch

__all__ = [
    "FEATURE_SKEWS",
    "PARTITIONS",
    "Heterogeneity",
    "Shard",
    "by_group",
    "class_counts",
    "classes_per_client",
    "dirichlet",
    "feature_skew",
    "heterogeneity",
    "iid",
    "make_partition",
    "parse_partition",
    "quantity_skew",
    "split_train_validation",
    "trim_last_batch",
]

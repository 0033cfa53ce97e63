"""Algorithms: one file each, with the client's half, the server's half and the entry for the registry at its end."""

from fedlearn_helpers.algorithms import (
    apfl,
    ditto,
    fedavg,
    feddyn,
    fednova,
    fedper,
    fedprox,
    fine_tuning,
    ifca,
    per_fedavg,
    pfedme,
    scaffold,
)
from fedlearn_helpers.algorithms.aggregation import Aggregator, Averaging, uniform_mean, weighted_mean
from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.arithmetic import Loss, Parameters, gradient, hessian_times, mixed, moved
from fedlearn_helpers.algorithms.local import LocalConfig, LocalTraining
from fedlearn_helpers.algorithms.registry import (
    ALGORITHMS,
    PERSONALIZATIONS,
    STRATEGIES,
    find_algorithm,
    new_strategy,
)

__all__ = [
    "ALGORITHMS",
    "PERSONALIZATIONS",
    "STRATEGIES",
    "Aggregator",
    "Algorithm",
    "Averaging",
    "LocalConfig",
    "LocalTraining",
    "Loss",
    "Parameters",
    "Setting",
    "apfl",
    "ditto",
    "fedavg",
    "feddyn",
    "fednova",
    "fedper",
    "fedprox",
    "find_algorithm",
    "fine_tuning",
    "gradient",
    "hessian_times",
    "ifca",
    "mixed",
    "moved",
    "new_strategy",
    "per_fedavg",
    "pfedme",
    "scaffold",
    "uniform_mean",
    "weighted_mean",
]

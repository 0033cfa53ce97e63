"""All algorithms by name. A new one is a file beside this one, and a line here."""

from collections.abc import Mapping
from typing import Any

from flwr.serverapp.strategy import FedAvg

from fedlearn_helpers.algorithms import (
    apfl,
    ditto,
    fedavg,
    fedavgm,
    fedbn,
    feddyn,
    fednova,
    fedopt,
    fedper,
    fedprox,
    fedrep,
    fine_tuning,
    global_model,
    ifca,
    per_fedavg,
    pfedme,
    qfedavg,
    scaffold,
)
from fedlearn_helpers.algorithms.aggregation import Aggregator, Averaging
from fedlearn_helpers.algorithms.algorithm import Algorithm
from fedlearn_helpers.algorithms.local import LocalConfig
from fedlearn_helpers.errors import InputError, check_one_of

ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        # one model for all clients
        fedavg.ALGORITHM,
        fedprox.ALGORITHM,
        qfedavg.ALGORITHM,
        fedavgm.ALGORITHM,
        fedopt.FEDADAM,
        fedopt.FEDYOGI,
        fedopt.FEDADAGRAD,
        scaffold.ALGORITHM,
        fednova.ALGORITHM,
        feddyn.ALGORITHM,
        # a model for each client
        global_model.ALGORITHM,
        fine_tuning.ALGORITHM,
        per_fedavg.FIRST_ORDER,
        per_fedavg.HESSIAN_FREE,
        per_fedavg.EXACT,
        fedper.ALGORITHM,
        fedrep.ALGORITHM,
        fedbn.ALGORITHM,
        ditto.ALGORITHM,
        apfl.ALGORITHM,
        pfedme.ALGORITHM,
        ifca.ALGORITHM,
    )
}
STRATEGIES = tuple(name for name, algorithm in ALGORITHMS.items() if not algorithm.is_personal)
"""The algorithms that give all clients one model."""
PERSONALIZATIONS = tuple(name for name, algorithm in ALGORITHMS.items() if algorithm.is_personal)
"""The algorithms that give every client a model of its own, and FedAvg measured in the same way as "global"."""


def find_algorithm(name: str) -> Algorithm:
    """Return an algorithm by name.

    Raises:
        InputError: an unknown name; the message lists the known ones.
    """
    check_one_of("algorithm", name, ALGORITHMS)
    return ALGORITHMS[name]


def new_strategy(
    algorithm: Algorithm | str,
    local_config: LocalConfig,
    settings: Mapping[str, float] | None = None,
    *,
    aggregator: Aggregator | None = None,
    **options: Any,
) -> FedAvg:
    """Return the server's half of an algorithm, for one run: many keep momentum or the like, so never use one twice.

    Args:
        algorithm: one, or its name.
        local_config: how clients train.
        settings: the algorithm's own; defaults for those that are missing.
        aggregator: how the clients' models are combined; None as the algorithm does it.
        options: of Flower's `FedAvg`, such as `fraction_train`.

    Raises:
        InputError: an unknown algorithm or setting, a value out of range, or an aggregator that would not be used.
    """
    chosen = algorithm if isinstance(algorithm, Algorithm) else find_algorithm(algorithm)
    strategy = chosen.new_server(local_config, chosen.complete_settings(settings), **options)
    if aggregator is not None:
        if not (chosen.takes_aggregator and isinstance(strategy, Averaging)):
            raise InputError(f"aggregator must be None for {chosen.title}, whose server does not average models")
        strategy.aggregator = aggregator
    return strategy

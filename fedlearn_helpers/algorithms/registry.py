"""The strategies by name: what each does on the server, what on the clients, and its own settings."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import (
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedProx,
    FedYogi,
    QFedAvg,
    Strategy,
)

from fedlearn_helpers.algorithms import fedavg, feddyn, fednova, fedprox, qfedavg, scaffold
from fedlearn_helpers.algorithms.local import LocalTraining, Recipe
from fedlearn_helpers.errors import InputError, check_one_of


@dataclass(frozen=True)
class Setting:
    """A setting of a strategy's own.

    Attributes:
        default: what it is if nothing is said; meant for the workbook's experiments.
        least: its lower limit.
        may_be_least: whether the limit itself is allowed.
        most: its upper limit.
        may_be_most: whether that limit itself is allowed.
        whole: whether it must be a whole number.
    """

    default: float
    least: float = 0.0
    may_be_least: bool = True
    most: float = math.inf
    may_be_most: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Method:
    """A strategy: its two halves and its settings.

    Attributes:
        title: as its paper spells it.
        train_client: the client's half.
        new_strategy: the server's half: called with the recipe, the settings and the options of Flower's `FedAvg`.
        settings: by name.
        any_model: whether it can train a model with buffers, such as BatchNorm's running statistics.
    """

    title: str
    train_client: Callable[[LocalTraining], RecordDict]
    new_strategy: Callable[..., Strategy]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    any_model: bool = False


def _same_dtypes(strategy: type[FedAvg]) -> type[FedAvg]:
    """Return a strategy of Flower's whose models keep their dtypes: some compute in float64, and would send it."""

    class SameDtypes(strategy):
        def configure_train(
            self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
        ) -> Iterable[Message]:
            self._dtypes = {name: array.dtype for name, array in arrays.items()}
            return super().configure_train(server_round, arrays, config, grid)

        def aggregate_train(
            self, server_round: int, replies: Iterable[Message]
        ) -> tuple[ArrayRecord | None, MetricRecord | None]:
            arrays, metrics = super().aggregate_train(server_round, replies)
            if arrays is not None:
                cast = {name: np.asarray(array.numpy(), self._dtypes[name]) for name, array in arrays.items()}
                arrays = ArrayRecord({name: Array(values) for name, values in cast.items()})
            return arrays, metrics

    SameDtypes.__name__ = SameDtypes.__qualname__ = strategy.__name__
    return SameDtypes


def _plain(strategy: type[FedAvg]) -> Callable[..., FedAvg]:
    """Return a maker of a strategy that does not want to know the clients' recipe."""
    return lambda recipe, **options: strategy(**options)


def _adaptive(strategy: type[FedAvg]) -> Callable[..., FedAvg]:
    return _plain(_same_dtypes(strategy))


METHODS: dict[str, Method] = {
    "fedavg": Method("FedAvg", fedavg.train_client, _plain(FedAvg), any_model=True),
    "fedprox": Method(
        "FedProx",
        fedprox.train_client,
        lambda recipe, mu, **options: FedProx(proximal_mu=mu, **options),
        {"mu": Setting(0.1)},
        any_model=True,
    ),
    "qfedavg": Method(
        "q-FedAvg",
        qfedavg.train_client,
        lambda recipe, q, steps, **options: _same_dtypes(QFedAvg)(
            client_learning_rate=steps * recipe.learning_rate, q=q, train_loss_key="train_loss", **options
        ),
        {"q": Setting(1.0), "steps": Setting(1.0, may_be_least=False)},
    ),
    "fedavgm": Method(
        "FedAvgM",
        fedavg.train_client,
        _adaptive(FedAvgM),
        {
            "server_momentum": Setting(0.9, most=1.0),
            "server_learning_rate": Setting(1.0, may_be_least=False),
        },
    ),
    "fedadam": Method(
        "FedAdam",
        fedavg.train_client,
        _adaptive(FedAdam),
        {"eta": Setting(0.01, may_be_least=False), "tau": Setting(0.001, may_be_least=False)},
    ),
    "fedyogi": Method(
        "FedYogi",
        fedavg.train_client,
        _adaptive(FedYogi),
        {"eta": Setting(0.01, may_be_least=False), "tau": Setting(0.001, may_be_least=False)},
    ),
    "fedadagrad": Method(
        "FedAdagrad",
        fedavg.train_client,
        _adaptive(FedAdagrad),
        {"eta": Setting(0.01, may_be_least=False), "tau": Setting(0.001, may_be_least=False)},
    ),
    "scaffold": Method(
        "SCAFFOLD",
        scaffold.train_client,
        _plain(scaffold.Scaffold),
        {"server_learning_rate": Setting(1.0, may_be_least=False)},
    ),
    "fednova": Method("FedNova", fednova.train_client, _plain(fednova.FedNova)),
    "feddyn": Method("FedDyn", feddyn.train_client, _plain(feddyn.FedDyn), {"alpha": Setting(0.1, may_be_least=False)}),
}


def find_method(name: str) -> Method:
    """Return a strategy by name.

    Raises:
        InputError: an unknown name; the message lists the known ones.
    """
    check_one_of("strategy", name, METHODS)
    return METHODS[name]


def complete_settings(name: str, given: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return all settings of a strategy: those given, and defaults for the others.

    Raises:
        InputError: an unknown strategy or setting, or a value out of range.
    """
    return check_settings(name, find_method(name).settings, given or {})


def check_settings(name: str, known: Mapping[str, Setting], given: Mapping[str, float]) -> dict[str, float]:
    """Return the known settings with the values that are given, and defaults for the others.

    Args:
        name: of what they are the settings, for messages.
        known: the rules for each setting.
        given: values.

    Raises:
        InputError: an unknown setting, or a value out of range.
    """
    for setting, value in given.items():
        if setting not in known:
            has = f"has the settings {', '.join(known)}" if known else "has no settings"
            raise InputError(f"{name} {has}, got {setting!r}")
        rule = known[setting]
        above = value >= rule.least if rule.may_be_least else value > rule.least
        below = value <= rule.most if rule.may_be_most else value < rule.most
        if not (above and below):
            limits = f"{'>=' if rule.may_be_least else '>'} {rule.least:g}"
            limits += f" and {'<=' if rule.may_be_most else '<'} {rule.most:g}" if rule.most < math.inf else ""
            raise InputError(f"{setting} of {name} must be {limits}, got {value:g}")
        if rule.whole and value != int(value):
            raise InputError(f"{setting} of {name} must be a whole number, got {value:g}")
    return {setting: float(given.get(setting, rule.default)) for setting, rule in known.items()}


def new_strategy(name: str, recipe: Recipe, settings: Mapping[str, float] | None = None, **options: Any) -> Strategy:
    """Return the server's half of a strategy, for one run: many keep momentum or the like, and must not be used twice.

    Args:
        name: a key of `METHODS`.
        recipe: how clients train.
        settings: the strategy's own; defaults for those that are missing.
        options: of Flower's `FedAvg`, such as `fraction_train`.

    Raises:
        InputError: an unknown strategy or setting, or a value out of range.
    """
    return find_method(name).new_strategy(recipe, **complete_settings(name, settings), **options)

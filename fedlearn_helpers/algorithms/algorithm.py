"""What an algorithm is: what its clients do, what its server does, and its own settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import torch
from flwr.app import RecordDict
from flwr.serverapp.strategy import FedAvg
from torch import Tensor, nn

from fedlearn_helpers.algorithms.aggregation import Averaging
from fedlearn_helpers.algorithms.local import LocalConfig, LocalTraining
from fedlearn_helpers.errors import InputError

_NOT_IN_NUMPY = (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)

Adapt = Callable[[LocalTraining], None]
"""Makes the model that a client uses of the received one, in place."""


@dataclass(frozen=True)
class Setting:
    """A setting of an algorithm's own.

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

    def check(self, what: str, value: float) -> None:
        """Check a value.

        Args:
            what: the setting and whose it is, for the message.
            value: what was given.

        Raises:
            InputError: it is no number, or out of range.
        """
        if not isinstance(value, Real):
            raise InputError(f"{what} must be a number, got {value!r}")
        above = value >= self.least if self.may_be_least else value > self.least
        below = value <= self.most if self.may_be_most else value < self.most
        if not (above and below):
            limits = f"{'>=' if self.may_be_least else '>'} {self.least:g}"
            limits += f" and {'<=' if self.may_be_most else '<'} {self.most:g}" if self.most < math.inf else ""
            raise InputError(f"{what} must be {limits}, got {value:g}")
        if self.whole and value != int(value):
            raise InputError(f"{what} must be a whole number, got {value:g}")


def plain_averaging(local_config: LocalConfig, settings: Mapping[str, float], **options: Any) -> FedAvg:
    """Return a server that averages the clients' models, and does nothing else."""
    return Averaging(**options)


def one_a_step(epochs: int, settings: Mapping[str, float]) -> int:
    """Return how often a client goes through its examples in a round, where a step takes one gradient."""
    return epochs


def whole_model(model: nn.Module, settings: Mapping[str, float], seed: int) -> Mapping[str, Tensor]:
    """Return all weights of the first model: the server holds all of it."""
    return model.state_dict()


@dataclass(frozen=True)
class Algorithm:
    """An algorithm of federated learning.

    Attributes:
        name: by which it is asked for.
        title: as its paper spells it.
        train_client: what a client does in a round; returns its reply.
        new_server: makes the server's half, a Flower strategy for one run, of the clients' configuration, the settings
            and the options of Flower's `FedAvg`.
        settings: by name; the server sends them to the clients.
        gradients: called with the local epochs and the settings, returns how many gradients of each of its batches a
            client computes in a round.
        adapt: what a client does before it uses the model: makes its own of the received one and its state, which
            stays as it is; a client that never trained has no state. None: all clients use the server's model.
        first: what the server holds before the first round, made of the first model, the settings and the seed.
        takes_aggregator: whether its server combines the clients' models by an aggregator that can be exchanged.
        any_model: whether it can train a model with buffers, such as BatchNorm's running statistics.
        why_no_buffers: the end of the message where it cannot.
        plain_steps: whether it takes SGD's steps itself, without momentum and weight decay.
        keeps_state: whether its clients keep something from round to round, without which the next is another one.
    """

    name: str
    title: str
    train_client: Callable[[LocalTraining], RecordDict]
    new_server: Callable[..., FedAvg] = plain_averaging
    settings: Mapping[str, Setting] = field(default_factory=dict)
    gradients: Callable[[int, Mapping[str, float]], int] = one_a_step
    adapt: Adapt | None = None
    first: Callable[[nn.Module, Mapping[str, float], int], Mapping[str, Tensor]] = whole_model
    takes_aggregator: bool = True
    any_model: bool = True
    why_no_buffers: str = "treats all its numbers as weights"
    plain_steps: bool = False
    keeps_state: bool = False

    @property
    def is_personal(self) -> bool:
        """Whether every client has a model of its own in the end."""
        return self.adapt is not None

    def complete_settings(self, given: Mapping[str, float] | None = None) -> dict[str, float]:
        """Return all settings: those given, and defaults for the others.

        Raises:
            InputError: an unknown setting, or a value out of range.
        """
        if not isinstance(given, Mapping | None):
            raise InputError(f"settings must be a dictionary of numbers by name, or None, got {given!r}")
        for setting, value in (given or {}).items():
            if setting not in self.settings:
                has = f"has the settings {', '.join(self.settings)}" if self.settings else "has no settings"
                raise InputError(f"{self.name} {has}, got {setting!r}")
            self.settings[setting].check(f"{setting} of {self.name}", value)
        return {name: float((given or {}).get(name, rule.default)) for name, rule in self.settings.items()}

    def steps_of_round(
        self, num_examples: int, local_config: LocalConfig, settings: Mapping[str, float] | None = None
    ) -> int:
        """Return how many gradients of batches a client computes in a round, if nothing limits it.

        It is what a slow device is slow with: the steps to give to `device_mod`.

        Args:
            num_examples: that the client trains on.
            local_config: how it trains.
            settings: the algorithm's own; defaults for those that are missing.
        """
        batches = -(-num_examples // local_config.batch_size)
        return batches * self.gradients(local_config.local_epochs, self.complete_settings(settings))

    def check(self, local_config: LocalConfig, model: nn.Module) -> None:
        """Check that the algorithm can train this model in this way.

        Raises:
            InputError: it cannot.
        """
        for name, tensor in model.state_dict().items():
            if tensor.dtype in _NOT_IN_NUMPY:
                raise InputError(
                    f"model must have numbers that NumPy has, too, since they travel in NumPy's format, got "
                    f"{tensor.dtype} in {name!r}; use model.float()"
                )
        if not self.any_model and (buffers := [name for name, _ in model.named_buffers()]):
            raise InputError(
                f"model must have no buffers for {self.title}, which {self.why_no_buffers}, got {buffers[0]!r}; "
                "use GroupNorm in place of BatchNorm"
            )
        for name in ("momentum", "weight_decay"):
            if self.plain_steps and getattr(local_config, name):
                raise InputError(f"{name} must be 0 for {self.title}, got {getattr(local_config, name)}")

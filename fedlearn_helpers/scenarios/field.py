"""What a scenario is: who has which examples, what is learned from them, and settings that were found to work."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fedlearn_helpers.algorithms import fine_tuning
from fedlearn_helpers.algorithms.algorithm import Adapt
from fedlearn_helpers.algorithms.local import LocalConfig, LocalTraining
from fedlearn_helpers.data.dataset import Examples
from fedlearn_helpers.errors import InputError, check_number
from fedlearn_helpers.models import copy_of_weights
from fedlearn_helpers.partition.split import Shard
from fedlearn_helpers.seeds import check_seed
from fedlearn_helpers.tasks import Task

EMBEDDED = Path(__file__).parent / "embedded"
NOTICE = "NOTICE.txt"  # goes wherever the files go
Part = tuple[Tensor, Tensor]
"""Inputs (n, ...) and targets (n, ...)."""


@dataclass(frozen=True)
class ClientExamples:
    """One client's examples, in three parts that do not overlap.

    Attributes:
        name: of the client, such as a person or a state.
        train: to train on.
        validation: to choose settings with, and to measure this client.
        test: to measure the server's model, together with those of all clients that train.

    Raises:
        InputError: a part without examples, or without as many targets as inputs.
    """

    name: str
    train: Part
    validation: Part
    test: Part

    def __post_init__(self) -> None:
        for part in ("train", "validation", "test"):
            inputs, targets = getattr(self, part)
            if len(inputs) == 0 or len(inputs) != len(targets):
                raise InputError(
                    f"{part} of client {self.name!r} must have examples with a target each, got {len(inputs)} inputs "
                    f"and {len(targets)} targets"
                )


@dataclass(frozen=True)
class FieldScenario:
    """A federation from the field.

    Attributes:
        name: by which it is asked for.
        about: what it is, one sentence.
        clients: names of the clients that train, in the order of `shards`.
        dataset: all examples. Its test examples are those of the clients that train.
        shards: one per client that trains.
        unseen_clients: names of the clients that never train, in the order of `unseen`.
        unseen: one shard per such client; its training examples are for adapting the final model.
        make_model: returns the first model for a seed; see `new_model`.
        local_config: recommended, chosen on validation examples.
        num_rounds: recommended.
        rate_alone: learning rate recommended for who learns without a federation, and for pooled data.
        rate_adapting: learning rate recommended for fine-tuning the final model; see `adapt`.
        epochs_adapting: passes over a client's training examples recommended for it.
        metric: what is called accuracy in results: its meaning, and what a constant guess reaches.
        attribution: whose the data are, and under which licence.
    """

    name: str
    about: str
    clients: tuple[str, ...]
    dataset: Examples
    shards: tuple[Shard, ...]
    unseen_clients: tuple[str, ...]
    unseen: tuple[Shard, ...]
    make_model: Callable[[int], nn.Module]
    local_config: LocalConfig
    num_rounds: int
    rate_alone: float
    rate_adapting: float
    epochs_adapting: int
    metric: str
    attribution: str

    def new_model(self, seed: int) -> nn.Module:
        """Return a first model; its weights depend on the seed alone."""
        return self.make_model(check_seed(seed))

    @property
    def reference_options(self) -> dict[str, Any]:
        """The arguments of `reference_lines` with which learning alone is as long as the federation: the same steps."""
        config = self.local_config
        return {
            "epochs": self.num_rounds * config.local_epochs,
            "batch_size": config.batch_size,
            "learning_rate": self.rate_alone,
            "optimizer": config.sgd,
        }

    @property
    def adapt(self) -> Adapt:
        """Fine-tuning with the rate for it: what `federate(…, adapt=…)` takes."""
        return fine_tuning_at(self.rate_adapting)

    def __str__(self) -> str:
        sizes = [len(shard.train) for shard in self.shards]
        return (
            f"{self.name}: {self.about}\n{len(self.clients)} clients train on {min(sizes):,} to {max(sizes):,} "
            f"examples each ({sum(sizes):,} in all), {len(self.unseen_clients)} never train.\n"
            f"Accuracy here is {self.metric}.\n{self.attribution}"
        )


def fine_tuning_at(learning_rate: float) -> Adapt:
    """Return fine-tuning with a rate of its own.

    Rates with which many clients make quick progress together are often too high for one client that has little left
    to learn: it forgets more than it learns.

    Args:
        learning_rate: > 0, in place of the configuration's.

    Raises:
        InputError: a rate out of range.
    """
    check_number("learning_rate", learning_rate, "> 0", lambda rate: rate > 0)

    def adapt(local: LocalTraining) -> None:
        local.local_config = replace(local.local_config, learning_rate=learning_rate)
        local.load(copy_of_weights(local.model))  # with a new optimizer
        fine_tuning.adapt(local)

    return adapt


def new_scenario(
    clients: Sequence[ClientExamples],
    *,
    leave_out: Collection[str] = (),
    name: str,
    about: str,
    task: Task,
    make_model: Callable[[int], nn.Module],
    local_config: LocalConfig,
    num_rounds: int,
    rate_alone: float,
    rate_adapting: float,
    epochs_adapting: int,
    metric: str,
    attribution: str,
) -> FieldScenario:
    """Return a scenario of your own, of any kind of examples; for tables see `scenario_of_tables`.

    Args:
        clients: all of them, with names of their own.
        leave_out: names of those that do not train, but are there as unseen clients.
        name, about, make_model, local_config, num_rounds, rate_alone, rate_adapting, epochs_adapting, metric,
            attribution: as in `FieldScenario`.
        task: how examples become a model's inputs, and how its outputs are judged.

    Raises:
        InputError: two clients of one name, a name to leave out that no client has, or no client that trains.
    """
    names = [client.name for client in clients]
    check_names(names, leave_out)
    members = [client for client in clients if client.name not in leave_out]
    strangers = [client for client in clients if client.name in leave_out]
    parts: list[Part] = []
    shards: list[Shard] = []
    begin = 0
    for client in (*members, *strangers):
        middle = begin + len(client.train[0])
        end = middle + len(client.validation[0])
        shards.append(Shard(train=np.arange(begin, middle), validation=np.arange(middle, end)))
        parts += [client.train, client.validation]
        begin = end
    inputs, targets = _joined(parts)
    test_inputs, test_targets = _joined([client.test for client in members])
    return FieldScenario(
        name=name,
        about=about,
        clients=tuple(client.name for client in members),
        dataset=Examples(name, task, inputs, targets, test_inputs, test_targets),
        shards=tuple(shards[: len(members)]),
        unseen_clients=tuple(client.name for client in strangers),
        unseen=tuple(shards[len(members) :]),
        make_model=make_model,
        local_config=local_config,
        num_rounds=num_rounds,
        rate_alone=rate_alone,
        rate_adapting=rate_adapting,
        epochs_adapting=epochs_adapting,
        metric=metric,
        attribution=attribution,
    )


def check_names(names: Sequence[str], leave_out: Collection[str]) -> None:
    """Check the clients' names, and which of them do not train.

    Raises:
        InputError: two clients of one name, a name that no client has, a single text in place of several, or no client
            that trains.
    """
    if twice := sorted({client for client in names if names.count(client) > 1}):
        raise InputError(f"clients must have names of their own, got {twice[0]!r} twice")
    if len(names) == 0:
        raise InputError("clients must be at least one, got none")
    if isinstance(leave_out, str) or not all(isinstance(name, str) for name in leave_out):
        raise InputError(f"leave_out must be names of clients, as in ['{next(iter(names))}'], got {leave_out!r}")
    if unknown := [name for name in leave_out if name not in names]:
        raise InputError(f"leave_out must be names of clients ({', '.join(names)}), got {unknown[0]!r}")
    if set(names) == set(leave_out):
        raise InputError("leave_out must leave at least one client that trains, got all of them")


def _joined(parts: Sequence[Part]) -> Part:
    return torch.cat([inputs for inputs, _ in parts]), torch.cat([targets for _, targets in parts])

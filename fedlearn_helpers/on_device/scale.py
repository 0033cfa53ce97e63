"""From ten devices to a million: what a server has to bear, and a tree of servers that share it.

FedAvg's mean is a sum of n_k w_k divided by a sum of n_k. Sums can be taken in any order and in any groups:

    sum_k n_k w_k / sum_k n_k = sum_g (sum_{k in g} n_k w_k) / sum_g (sum_{k in g} n_k)

So a server need not hold the models of a round: it adds each to a running sum and forgets it. And it need not do so
alone: aggregators near the devices add up f models each and send one sum and one weight to the next. With fan-out f and
n devices such a tree has ceil(log_f n) levels, and no node receives more than f messages. What rounds do with the order
of the sum is a matter of the last digits; of whole numbers, none.

Source of the design: Bonawitz et al. 2019, "Towards federated learning at scale: system design",
https://arxiv.org/abs/1902.01046, section 4. What needs all models at once, such as a median, has no such sum.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import State
from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.metrics import check_weights
from fedlearn_helpers.simulation import simulate
from fedlearn_helpers.simulation.sampling import sample_size

_A_DAY = 86_400  # seconds


@dataclass(frozen=True)
class Load:
    """What one server has to bear.

    Attributes:
        participants: devices in a round.
        messages_a_second: to and from devices, on average over a day.
        bytes_a_day: models to and from devices.
        cores: how many processor cores are busy with messages, on average over a day.
        all_models: bytes of all models of a round, for a server that holds them.
        running_sum: bytes of a sum in float64, and of one model that is being added.
    """

    participants: int
    messages_a_second: float
    bytes_a_day: float
    cores: float
    all_models: int
    running_sum: int


def load(num_devices: int, *, share: float, rounds_a_day: float, model_bytes: int, message_seconds: float) -> Load:
    """Return the load of a server.

    Args:
        num_devices: >= 1.
        share: of them that takes part in a round, in (0, 1]; at least one does.
        rounds_a_day: > 0.
        model_bytes: of a model in float32, >= 1.
        message_seconds: what a model there and back costs the server's core, >= 0: measured, see `measure_messages`.

    Raises:
        InputError: an argument out of range.
    """
    check_whole_number("num_devices", num_devices, 1)
    check_number("share", share, "> 0 and <= 1", lambda value: 0 < value <= 1)
    check_number("rounds_a_day", rounds_a_day, "> 0", lambda value: value > 0)
    check_whole_number("model_bytes", model_bytes, 1)
    check_number("message_seconds", message_seconds, ">= 0", lambda value: value >= 0)
    participants = max(1, sample_size(share, num_devices))
    exchanges = participants * rounds_a_day
    return Load(
        participants=participants,
        messages_a_second=2 * exchanges / _A_DAY,
        bytes_a_day=2 * exchanges * model_bytes,
        cores=exchanges * message_seconds / _A_DAY,
        all_models=participants * model_bytes,
        running_sum=3 * model_bytes,
    )


@dataclass(frozen=True)
class Tree:
    """A tree of aggregators above the devices.

    Attributes:
        fan_out: f, how many messages a node receives at most.
        levels: how many aggregators each level has, from the devices up; the last is the root alone.
        root_messages: how many messages the root receives.
    """

    fan_out: int
    levels: tuple[int, ...]
    root_messages: int

    @property
    def depth(self) -> int:
        """How many aggregators a model passes on its way; each adds its waiting time."""
        return len(self.levels)


def tree_of(num_devices: int, fan_out: int) -> Tree:
    """Return the tree for so many devices in a round, >= 1, and a fan-out >= 2.

    Raises:
        InputError: an argument out of range.
    """
    below = check_whole_number("num_devices", num_devices, 1)
    check_whole_number("fan_out", fan_out, 2)
    levels: list[int] = []
    while not levels or levels[-1] > 1:
        received, below = below, -(-below // fan_out)
        levels.append(below)
    return Tree(fan_out, tuple(levels), received)


Part = tuple[dict[str, Tensor], float]
"""What an aggregator sends up: the sum of n_k w_k by name, in float64, and the sum of n_k."""


def running_mean(states: Iterable[State], weights: Iterable[float]) -> dict[str, Tensor]:
    """Average models like `weighted_mean`, one after the other: none is held when the next one comes.

    Args:
        states: w_k, all with the same names and shapes; an iterator is read once.
        weights: n_k >= 0, one for each, not all zero.

    Returns:
        The mean; floats in their own dtype, means of whole numbers in float64.

    Raises:
        ValueError: no states, another number of weights, or weights that cannot be normalized.
    """
    dtypes: dict[str, torch.dtype] = {}
    sums: dict[str, Tensor] = {}
    total = 0.0
    for state, weight in zip(states, weights, strict=True):
        check_weights([1.0, weight])  # each is finite and >= 0
        for name, tensor in state.items():
            dtypes[name] = tensor.dtype
            sums.setdefault(name, torch.zeros_like(tensor, dtype=torch.float64)).add_(tensor.double(), alpha=weight)
        total += weight
    return _mean((sums, total), dtypes)


def tree_mean(states: Sequence[State], weights: Sequence[float], fan_out: int) -> dict[str, Tensor]:
    """Average models like `weighted_mean`, by a tree of aggregators.

    With `functools.partial(tree_mean, fan_out=…)` it is an aggregator for `federate`.

    Args:
        states: w_k, one state per client, all with the same names and shapes.
        weights: n_k >= 0, one for each, not all zero.
        fan_out: f, >= 2.

    Returns:
        The mean; floats in their own dtype, means of whole numbers in float64.

    Raises:
        InputError: a fan-out out of range.
        ValueError: no states, another number of weights, or weights that cannot be normalized.
    """
    check_whole_number("fan_out", fan_out, 2)
    check_weights(weights)
    if not len(states):
        raise ValueError("states must hold at least one model, got none")
    parts = [_part(state, weight) for state, weight in zip(states, weights, strict=True)]
    while len(parts) > 1:
        parts = [_sum_of(parts[first : first + fan_out]) for first in range(0, len(parts), fan_out)]
    return _mean(parts[0], {name: tensor.dtype for name, tensor in states[0].items()})


def _part(state: State, weight: float) -> Part:
    """Return what a client counts for."""
    return {name: weight * tensor.double() for name, tensor in state.items()}, weight


def _sum_of(parts: Sequence[Part]) -> Part:
    """Add up what an aggregator receives, in the first part's memory."""
    (sums, total), *others = parts
    for part, weight in others:
        for name, tensor in part.items():
            sums[name].add_(tensor)
        total += weight
    return sums, total


def _mean(part: Part, dtypes: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
    """Divide, at the root."""
    sums, total = part
    if not total > 0:
        raise InputError(f"weights must not all be zero, got a sum of {total:g}")
    return {
        name: (tensor / total).to(dtypes[name] if dtypes[name].is_floating_point else torch.float64)
        for name, tensor in sums.items()
    }


@dataclass(frozen=True)
class Measured:
    """How long rounds without training took.

    Attributes:
        participants: clients in a round.
        messages: to clients, in all rounds.
        seconds: for all of it.
    """

    participants: int
    messages: int
    seconds: float

    @property
    def message_seconds(self) -> float:
        """Of one model there and back: packing, copying, checking, and its part of the mean."""
        return self.seconds / self.messages


def measure_messages(num_clients: int, *, share: float, state: State, num_rounds: int, seed: int) -> Measured:
    """Run FedAvg with clients that send back what they get, in this process, and take the time.

    Args:
        num_clients: >= 1. Those that do not take part cost nothing but a number.
        share: of them that takes part in a round, in (0, 1]; at least one does.
        state: the model.
        num_rounds: >= 1.
        seed: decides who takes part.

    Raises:
        InputError: an argument out of range.
    """
    check_whole_number("num_clients", num_clients, 1)
    check_number("share", share, "> 0 and <= 1", lambda value: 0 < value <= 1)
    check_whole_number("num_rounds", num_rounds, 1)
    arrays = ArrayRecord(dict(state))
    client_app, server_app = ClientApp(), ServerApp()

    @client_app.train()
    def echo(message: Message, context: Context) -> Message:
        metrics = MetricRecord({"num-examples": 1})
        return Message(RecordDict({"arrays": message.content["arrays"], "metrics": metrics}), reply_to=message)

    @server_app.main()
    def serve(grid: Grid, context: Context) -> Any:
        strategy = FedAvg(fraction_train=share, fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1)
        strategy.start(grid=grid, initial_arrays=arrays, num_rounds=num_rounds)

    start = time.perf_counter()
    history = simulate(server_app, client_app, num_clients=num_clients, seed=seed, workers=1, label=None)
    seconds = time.perf_counter() - start
    return Measured(len(history.exchanges) // num_rounds, len(history.exchanges), seconds)

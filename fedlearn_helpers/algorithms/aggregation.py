"""How the server makes one model of the clients' models. FedAvg's weighting rule stands here, and nowhere else.

An aggregator is a function of the clients' models and weights. `weighted_mean` is the default; whatever else has its
form (a median, a trimmed mean) can take its place: `federate("fedavg", …, aggregator=median)`.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from torch import Tensor

from fedlearn_helpers.metrics import check_weights
from fedlearn_helpers.simulation.replies import MODEL_PREFIX, NEEDED_METRICS, NEEDED_RECORDS
from fedlearn_helpers.simulation.sampling import sample_size

State = Mapping[str, Tensor]
"""The numbers of a model by name."""
Aggregator = Callable[[Sequence[State], Sequence[float]], dict[str, Tensor]]
"""Called with one state per client, all with the same names and shapes, and one weight per client, >= 0."""


def _with_checks(mean: Aggregator) -> Aggregator:
    @functools.wraps(mean)
    def checked(states: Sequence[State], weights: Sequence[float]) -> dict[str, Tensor]:
        check_weights(weights)
        return mean(states, weights)

    return checked


@_with_checks
def weighted_mean(states: Sequence[State], weights: Sequence[float]) -> dict[str, Tensor]:
    """Average models entry by entry: sum_k (n_k / n) w_k, the server's step of FedAvg.

    Source: McMahan et al. 2017, https://arxiv.org/abs/1602.05629, algorithm 1.

    Args:
        states: w_k, one state per client, all with the same names and shapes.
        weights: n_k, for FedAvg the number of training examples of each client; not all zero.

    Raises:
        ValueError: no states, a different number of weights, or weights that cannot be normalized.
    """
    if not states or len(states) != len(weights):
        raise ValueError(f"need one weight per model, got {len(weights)} for {len(states)} models")
    total = sum(weights)
    return {  # `sum` begins with 0, hence the type
        name: sum(weight / total * _real(state[name]) for state, weight in zip(states, weights, strict=True))  # type: ignore[misc]
        for name in states[0]
    }


def _real(tensor: Tensor) -> Tensor:
    """Return whole numbers as float64, whose mean is exact to the last of them; others as they are."""
    return tensor if tensor.is_floating_point() else tensor.double()


def shares_of(weights: Sequence[float]) -> list[float]:
    """Return n_k / n for each weight n_k: what a client counts for."""
    total = sum(weights)
    return [weight / total for weight in weights]


def weighted_sum(states: Sequence[State], factors: Sequence[float]) -> dict[str, Tensor]:
    """Return sum_k factor_k state_k, entry by entry, for rules whose factors do not add up to 1."""
    return {
        name: sum(factor * state[name] for state, factor in zip(states, factors, strict=True))  # type: ignore[misc]
        for name in states[0]
    }


def uniform_mean(states: Sequence[State], weights: Sequence[float] = ()) -> dict[str, Tensor]:
    """Average models entry by entry, each counting the same, whatever its weight."""
    stacked = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    return {name: _real(tensors).mean(dim=0) for name, tensors in stacked.items()}


def state_of(arrays: ArrayRecord) -> dict[str, Tensor]:
    """Return the tensors in a record by name."""
    return dict(arrays.to_torch_state_dict())


@dataclass(frozen=True)
class Answer:
    """What a client sent back.

    Attributes:
        state: its model.
        weight: its number of training examples.
        metrics: its other numbers.
        extras: further records by name, those that the server has announced in `extra_records`.
    """

    state: State
    weight: float
    metrics: Mapping[str, float]
    extras: Mapping[str, State]


class Averaging(FedAvg):
    """Flower's FedAvg, whose models are combined by an aggregator. Takes Flower's options.

    A server with another update rule overrides `combine`.

    Attributes:
        aggregator: how models are combined.
        model_record: the name under which clients send their model; None: that under which they receive one, with the
            same keys and shapes.
        model_prefix: where several models are sent, the start of the keys of one; all are alike.
        extra_records: names of the records that clients send beside their model.
        extra_metrics: names of the metrics that are for the server alone; they are not averaged.
        needed_metrics: names of the other metrics with which it computes; a reply without one of them, or with one
            that is not a finite number >= 0, is not used.
        sent: the model that the clients of this round have received.
        num_clients: how many clients there are, whether they take part in this round or not.
    """

    aggregator: Aggregator = staticmethod(weighted_mean)
    model_record: str | None = None
    model_prefix: str = ""
    extra_records: tuple[str, ...] = ()
    extra_metrics: tuple[str, ...] = ()
    needed_metrics: tuple[str, ...] = ()

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the model, remember it, and say what a reply must have."""
        self.sent, self.num_clients = arrays, len(list(grid.get_node_ids()))
        config[NEEDED_METRICS] = [self.weighted_by_key, *self.needed_metrics, *self.extra_metrics]
        config[NEEDED_RECORDS] = [self.model_record or self.arrayrecord_key, *self.extra_records]
        if self.model_record or self.extra_records:
            config[MODEL_PREFIX] = self.model_prefix
        least = self.min_train_nodes
        self.min_train_nodes = max(least, sample_size(self.fraction_train, self.num_clients))
        try:
            return list(super().configure_train(server_round, arrays, config, grid))
        finally:
            self.min_train_nodes = least

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Combine the models of the clients that answered, and average their metrics."""
        replies = list(replies)
        extras = {id(reply): self._take_extras(reply.content) for reply in replies if not reply.has_error()}
        valid, _ = self._check_and_log_replies(replies, is_train=True)
        if not valid:
            return None, None
        answers = [self._read(reply.content, *extras[id(reply)]) for reply in valid]
        metrics = self.train_metrics_aggr_fn([reply.content for reply in valid], self.weighted_by_key)
        dtypes = {name: getattr(torch, array.dtype) for name, array in self.sent.items()}  # without unpacking it
        return ArrayRecord(
            {name: rounded_to(dtypes[name], tensor) for name, tensor in self.combine(answers).items()}
        ), metrics

    def combine(self, answers: Sequence[Answer]) -> dict[str, Tensor]:
        """Return the new model.

        Args:
            answers: of the clients that took part, at least one, in the order of their ids.
        """
        return self.aggregator([answer.state for answer in answers], [answer.weight for answer in answers])

    def _take_extras(self, content: RecordDict) -> tuple[Mapping[str, State], Mapping[str, float]]:
        """Take what Flower's check of replies does not know out of a reply."""
        records = {name: state_of(content.array_records[name]) for name in self.extra_records}
        for name in records:
            del content[name]
        metrics: Any = content.metric_records["metrics"] if self.extra_metrics else {}
        return records, {name: float(metrics.pop(name)) for name in self.extra_metrics}

    def _read(self, content: RecordDict, extras: Mapping[str, State], metrics: Mapping[str, float]) -> Answer:
        (arrays,) = content.array_records.values()
        numbers: dict[str, Any] = dict(*content.metric_records.values())
        return Answer(state_of(arrays), float(numbers[self.weighted_by_key]), {**numbers, **metrics}, extras)


def rounded_to(dtype: torch.dtype, tensor: Tensor) -> Tensor:
    """Return a tensor in another dtype; a mean of whole numbers, such as BatchNorm's counter, is rounded."""
    return (tensor if dtype.is_floating_point else tensor.round()).to(dtype)


def _as_dtype(dtype: np.dtype, values: np.ndarray) -> np.ndarray:
    """The same for NumPy's arrays."""
    return np.asarray(values if dtype.kind == "f" else values.round(), dtype)


def averaging(strategy: type[FedAvg], *, needs: tuple[str, ...] = ()) -> Callable[..., FedAvg]:
    """Return a strategy of Flower's that leaves averaging to an aggregator, and whose models keep their dtypes.

    Flower's FedAdam and its kin take the average from `FedAvg` and go on from there; `Averaging` takes its place. Some
    of them compute in float64, and would send it.

    Args:
        strategy: Flower's class.
        needs: its `needed_metrics`.
    """

    class OfAverages(strategy, Averaging):  # type: ignore[misc, valid-type]  # a class made for this strategy
        needed_metrics = needs

        def aggregate_train(
            self, server_round: int, replies: Iterable[Message]
        ) -> tuple[ArrayRecord | None, MetricRecord | None]:
            arrays, metrics = super().aggregate_train(server_round, replies)
            if arrays is not None:
                dtypes = {name: np.dtype(array.dtype) for name, array in self.sent.items()}
                cast = {name: _as_dtype(dtypes[name], array.numpy()) for name, array in arrays.items()}
                arrays = ArrayRecord({name: Array(values) for name, values in cast.items()})
            return arrays, metrics

    OfAverages.__name__ = OfAverages.__qualname__ = strategy.__name__
    return OfAverages

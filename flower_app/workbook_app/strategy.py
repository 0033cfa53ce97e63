"""Flower's strategies, made to give the same result in every engine."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.simulation.replies import (
    NEEDED_METRICS,
    NEEDED_RECORDS,
    NUM_EXAMPLES,
    fault_of,
    nobody_has_examples,
    unlike_most,
)
from fedlearn_helpers.simulation.sampling import sample_size
from workbook_app.clients import reason_of


class ReproducibleFedAvg(FedAvg):
    """Flower's FedAvg, whose result depends on the seed and not on node ids, timing or the order of replies.

    Under Ray, node ids are random, replies come in any order, and other threads of the server's process
    draw from Python's global generator, which Flower's sampling uses. So clients are sampled by
    partition id with a generator of their own, and replies are averaged in the order of partition ids.

    Another strategy gets the same by inheritance, `class ReproducibleFedAdam(ReproducibleFedAvg, FedAdam)`.

    Args:
        partitions: partition id by node id. Nodes that are not in it, because they joined later, stay out.
        seed: decides who trains, >= 0.
        fraction_train: share of the connected clients that train in a round, in (0, 1].
        min_clients: a round waits for at least so many connected clients, and at least so many train.
        options: of Flower's strategy.

    Attributes:
        rounds: by round, what happened in it: how many `clients` were asked and how many `failures` there were,
            by phase; `errors`, the last line of each error that a client answered with; and the averaged metrics
            of "train" and "evaluate". A client that does not answer in time has failed, too, and so has one whose
            reply cannot be used, such as a model that is not finite: the others are averaged without it.
    """

    def __init__(
        self, partitions: Mapping[int, int], *, seed: int, fraction_train: float, min_clients: int, **options: Any
    ) -> None:
        super().__init__(  # fractions of 1: this class chooses among the messages to all clients
            min_train_nodes=min_clients, min_evaluate_nodes=min_clients, min_available_nodes=min_clients, **options
        )
        self._partitions, self._seed = partitions, seed
        self._share, self._min_clients = fraction_train, min_clients
        self._request = RecordDict()  # the last one to train
        self.rounds: dict[int, dict[str, Any]] = defaultdict(lambda: {"clients": {}, "failures": {}, "errors": []})

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Address a sample of the clients."""
        needed = ConfigRecord({NEEDED_METRICS: [self.weighted_by_key], NEEDED_RECORDS: [self.arrayrecord_key]})
        self._request = RecordDict({self.arrayrecord_key: arrays, self.configrecord_key: needed})
        messages = self._in_order(super().configure_train(server_round, arrays, config, grid))
        size = max(sample_size(self._share, len(messages)), self._min_clients)
        generator = random.Random(derive_seed(self._seed, "sample", server_round))
        return self._count_asked(server_round, "train", generator.sample(messages, min(size, len(messages))))

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Address all clients."""
        messages = self._in_order(super().configure_evaluate(server_round, arrays, config, grid))
        return self._count_asked(server_round, "evaluate", messages)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Average models and metrics in the order of the partition ids."""
        replies = self._usable(server_round, "train", replies)
        arrays, metrics = super().aggregate_train(server_round, replies)
        self._keep_metrics(server_round, "train", metrics)
        return arrays, metrics

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Average metrics in the order of the partition ids."""
        replies = self._usable(server_round, "evaluate", replies)
        metrics = super().aggregate_evaluate(server_round, replies)
        self._keep_metrics(server_round, "evaluate", metrics)
        return metrics

    def _in_order(self, messages: Iterable[Message]) -> list[Message]:
        known = [message for message in messages if message.metadata.dst_node_id in self._partitions]
        return sorted(known, key=lambda message: self._partitions[message.metadata.dst_node_id])

    def _count_asked(self, server_round: int, phase: str, messages: list[Message]) -> list[Message]:
        self.rounds[server_round]["clients"][phase] = len(messages)
        return messages

    def _usable(self, server_round: int, phase: str, replies: Iterable[Message]) -> list[Message]:
        """Return the replies that can be averaged, in the order of the partition ids, and write down the others."""
        this_round = self.rounds[server_round]
        by_client = {self._partitions[reply.metadata.src_node_id]: reply for reply in replies}
        by_client = dict(sorted(by_client.items()))
        replies = list(by_client.values())
        found = {
            client: reason_of(reply) if reply.has_error() else fault_of(phase, self._request, reply.content)
            for client, reply in by_client.items()
        }
        faults = {client: fault for client, fault in found.items() if fault is not None}
        others = {client: reply.content for client, reply in by_client.items() if client not in faults}
        faults |= unlike_most(phase, server_round, others)
        for client, fault in sorted(faults.items()):
            this_round["errors"].append(f"client {client} in round {server_round}, phase {phase!r}: {fault}")
        usable = [reply for client, reply in by_client.items() if client not in faults]
        this_round["failures"][phase] = this_round["clients"][phase] - len(usable)
        if sentence := nobody_has_examples([_examples_of(reply) for reply in replies if not reply.has_error()]):
            raise InputError(sentence)
        return usable

    def _keep_metrics(self, server_round: int, phase: str, metrics: MetricRecord | None) -> None:
        self.rounds[server_round][phase] = {} if metrics is None else dict(metrics)


def _examples_of(reply: Message) -> Any:
    return next(
        (record[NUM_EXAMPLES] for record in reply.content.metric_records.values() if NUM_EXAMPLES in record), None
    )


STRATEGIES: dict[str, type[ReproducibleFedAvg]] = {"fedavg": ReproducibleFedAvg}

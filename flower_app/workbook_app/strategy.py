"""The server of any algorithm, made to give the same result in every engine."""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.simulation.replies import NUM_EXAMPLES, fault_of, nobody_has_examples, unlike_most
from fedlearn_helpers.simulation.sampling import sample_size
from workbook_app.clients import PATIENCE, reason_of
from workbook_app.states import LAST_TRAINED


class Reproducible(Strategy):
    """A strategy around another one, whose result depends on the seed and not on node ids, timing or order of replies.

    Under Ray and on a SuperLink, node ids are random, replies come in any order, and other threads of the server's
    process draw from Python's global generator, which Flower's sampling uses. So the strategy inside sees partition ids
    for node ids, and addresses all clients; a sample of them is drawn here, with a generator of the round's own; and
    replies are handed on in the order of partition ids. Nothing that the strategy keeps knows a node id, and a round
    needs nothing that was drawn before: a run can go on from a checkpoint with other nodes.

    Args:
        strategy: does the work; must address all clients.
        partitions: partition id by node id. Nodes that are not in it, because they joined later, stay out.
        seed: decides who trains and who measures, >= 0.
        fraction_train: share of the connected clients that train in a round, in (0, 1].
        fraction_evaluate: share of the connected clients that measure the model after it, in [0, 1].
        min_clients: a round waits for at least so many connected clients, and at least so many train.
        with_states: whether clients keep states; they are told then which one they must have.
        rounds: as the attribute, of earlier rounds; it is changed.
        patience: seconds that a round waits.

    Attributes:
        rounds: by round, what happened in it: how many `clients` were asked and how many `failures` there were,
            by phase; `errors`, the last line of each error that a client answered with; which clients have `trained`;
            and the averaged metrics of "train" and "evaluate". A client that does not answer in time has failed, too,
            and so has one whose reply cannot be used, such as a model that is not finite: the others are averaged
            without it.
    """

    def __init__(
        self,
        strategy: Strategy,
        partitions: Mapping[int, int],
        *,
        seed: int,
        fraction_train: float = 1.0,
        fraction_evaluate: float = 1.0,
        min_clients: int = 1,
        with_states: bool = False,
        rounds: dict[int, dict[str, Any]] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._strategy, self._partitions, self._seed = strategy, partitions, seed
        self._fraction_train, self._fraction_evaluate = fraction_train, fraction_evaluate
        self._min_clients, self._with_states, self._patience = min_clients, with_states, patience
        self._request, self._asked = RecordDict(), list[int]()  # the last message, and who got it
        self.rounds = {} if rounds is None else rounds

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Address a sample of the clients."""
        nodes = self._connected(grid)
        messages = self._strategy.configure_train(server_round, arrays, config, self._all_clients())
        chosen = self._choose_to_train(server_round, nodes)
        return self._addressed(server_round, "train", messages, nodes, chosen)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Address a sample of the clients, or none."""
        if not self._fraction_evaluate:
            entry_of(self.rounds, server_round)["clients"]["evaluate"] = 0
            return []
        nodes = self._connected(grid)
        messages = self._strategy.configure_evaluate(server_round, arrays, config, self._all_clients())
        size = max(sample_size(self._fraction_evaluate, len(nodes)), 1)
        chosen = self._sample("sample to evaluate", server_round, nodes, size)
        return self._addressed(server_round, "evaluate", messages, nodes, chosen)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Let the strategy make a model of the replies that can be used, in the order of the partition ids."""
        usable = self._usable(server_round, "train", replies)
        arrays, metrics = self._strategy.aggregate_train(server_round, usable)
        self._keep_metrics(server_round, "train", metrics)
        return arrays, metrics

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Let the strategy average the metrics that can be used, in the order of the partition ids."""
        usable = self._usable(server_round, "evaluate", replies)
        metrics = self._strategy.aggregate_evaluate(server_round, usable)
        self._keep_metrics(server_round, "evaluate", metrics)
        return metrics

    def summary(self) -> None:
        """As the strategy."""
        self._strategy.summary()

    def _connected(self, grid: Grid) -> dict[int, int]:
        """Return the nodes of the clients that are there, by partition id and in its order."""
        deadline = time.monotonic() + self._patience
        while True:
            nodes = {self._partitions[node]: node for node in grid.get_node_ids() if node in self._partitions}
            if len(nodes) >= self._min_clients:
                return dict(sorted(nodes.items()))
            if time.monotonic() > deadline:
                raise InputError(
                    f"min-clients must be <= the number of clients that are connected, got {self._min_clients} with "
                    f"{len(nodes)} clients after {self._patience:.0f} seconds"
                )
            time.sleep(0.2)

    def _all_clients(self) -> Grid:
        """Return what a strategy sees of the grid: the clients, whether they are connected or not."""
        return cast(Grid, _AllClients(sorted(self._partitions.values())))

    def _choose_to_train(self, server_round: int, nodes: Mapping[int, int]) -> list[int]:
        size = max(sample_size(self._fraction_train, len(nodes)), self._min_clients)
        return self._sample("sample", server_round, nodes, size)

    def _sample(self, purpose: str, server_round: int, nodes: Mapping[int, int], size: int) -> list[int]:
        generator = random.Random(derive_seed(self._seed, purpose, server_round))
        return sorted(generator.sample(list(nodes), min(size, len(nodes))))

    def _addressed(
        self,
        server_round: int,
        phase: str,
        messages: Iterable[Message],
        nodes: Mapping[int, int],
        chosen: Sequence[int],
    ) -> list[Message]:
        """Return the messages to the chosen clients, addressed to their nodes."""
        by_client = {message.metadata.dst_node_id: message for message in messages}
        addressed = {client: by_client[client] for client in chosen}
        self._request = addressed[chosen[0]].content
        for client, message in addressed.items():
            message.metadata.dst_node_id = nodes[client]
            message.metadata.group_id = str(server_round)  # a SuperNode shows it
        self._tell_last_trained(addressed)
        entry_of(self.rounds, server_round)["clients"][phase] = len(addressed)
        self._asked = list(addressed)
        return list(addressed.values())

    def _tell_last_trained(self, messages: Mapping[int, Message]) -> None:
        """Tell clients that keep states which one they must have."""
        trained = last_trained(self.rounds) if self._with_states else {}
        for client, message in messages.items():
            if client in trained:  # in a content of its own: the others share one
                last = ConfigRecord({"round": trained[client]})
                message.content = RecordDict({**message.content, LAST_TRAINED: last})

    def _usable(self, server_round: int, phase: str, replies: Iterable[Message]) -> list[Message]:
        """Return the replies that can be averaged, in the order of the partition ids, and write down the others."""
        this_round = entry_of(self.rounds, server_round)
        replies = list(replies)
        by_client = {
            self._partitions[reply.metadata.src_node_id]: reply
            for reply in replies
            if reply.metadata.src_node_id in self._partitions
        }
        by_client = dict(sorted(by_client.items()))
        of_others = [reply for reply in replies if reply.metadata.src_node_id not in self._partitions]
        replies = list(by_client.values())
        found = {
            client: reason_of(reply) if reply.has_error() else fault_of(phase, self._request, reply.content)
            for client, reply in by_client.items()
        }
        faults = {client: fault for client, fault in found.items() if fault is not None}
        others = {client: reply.content for client, reply in by_client.items() if client not in faults}
        faults |= unlike_most(phase, server_round, others)
        # Of a node that is gone the SuperLink says so in its own name, and not which node it was.
        said = next((reason_of(reply) for reply in of_others if reply.has_error()), "no reply in time")
        faults |= {client: said for client in self._asked if client not in by_client}
        for client, fault in sorted(faults.items()):
            this_round["errors"].append(f"client {client} in round {server_round}, phase {phase!r}: {fault}")
        usable = [reply for client, reply in by_client.items() if client not in faults]
        this_round["failures"][phase] = this_round["clients"][phase] - len(usable)
        if phase == "train":  # whatever they sent: they have kept a state
            this_round["trained"] = [client for client, reply in by_client.items() if not reply.has_error()]
        if sentence := nobody_has_examples([_examples_of(reply) for reply in replies if not reply.has_error()]):
            raise InputError(sentence)
        return usable

    def _keep_metrics(self, server_round: int, phase: str, metrics: MetricRecord | None) -> None:
        self.rounds[server_round][phase] = {} if metrics is None else dict(metrics)


class _AllClients:
    """A grid's list of nodes, with partition ids for node ids."""

    def __init__(self, clients: Sequence[int]) -> None:
        self._clients = clients

    def get_node_ids(self) -> list[int]:
        """Return the ids of all clients."""
        return list(self._clients)


def entry_of(rounds: dict[int, dict[str, Any]], server_round: int) -> dict[str, Any]:
    """Return what is written down about a round; it is made if there is nothing yet."""
    return rounds.setdefault(server_round, {"clients": {}, "failures": {}, "errors": []})


def last_trained(rounds: Mapping[int, Mapping[str, Any]]) -> dict[int, int]:
    """Return the last round in which each client trained, by client; who never did is not in it."""
    return {client: number for number in sorted(rounds) for client in rounds[number].get("trained", ())}


def _examples_of(reply: Message) -> Any:
    return next(
        (record[NUM_EXAMPLES] for record in reply.content.metric_records.values() if NUM_EXAMPLES in record), None
    )

"""Secure aggregation in the app: the server gets masked numbers and their sum, in every engine.

Its accuracy costs nothing here: a masked number has 32 bits however few of them are used. So numbers may be as large as
+-16, which no update reaches in a training that goes well, and have as many bits as the sum over the clients allows: 31
for two clients, in steps of 1.5e-8, and 28 for ten.

Two clients can use it. Then both must answer, and the sum hides each of them from the server, and from nobody else: a
client that subtracts its own update from the sum has the other's. With three or more, it takes all others together.
"""

from collections.abc import Iterable
from typing import Any, cast

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.privacy.secure_aggregation import SecureAggregation
from fedlearn_helpers.privacy.secure_aggregation.requirements import check_needs_only_the_mean
from fedlearn_helpers.simulation.sampling import sample_size
from workbook_app.settings import RunConfig
from workbook_app.strategy import Reproducible, entry_of
from workbook_app.task import new_shards

_BOUND, _WORD, _MOST_BITS = 16.0, 32, 31
_SHOWN = 4  # numbers of a masked vector that the server writes down


def secure_aggregation(config: RunConfig, num_clients: int) -> SecureAggregation:
    """Return how updates travel, the same for server and clients; more than half of those asked must answer.

    Args:
        config: of the run.
        num_clients: of the federation, >= 2.

    Raises:
        InputError: too many clients or images for sums below 2**32.
    """
    asked = min(max(sample_size(config.fraction_train, num_clients), config.min_clients), num_clients)
    return SecureAggregation(
        max(asked // 2 + 1, 2),
        _BOUND,
        most_examples=max(len(shard.train) for shard in new_shards(config, num_clients)),
        bits=min(_WORD - (asked - 1).bit_length(), _MOST_BITS),
    )


def check_can_be_secure(config: RunConfig, strategy: Strategy) -> None:
    """Check that a sum is enough for the algorithm's server.

    Raises:
        InputError: it is not; the message says why.
    """
    try:
        check_needs_only_the_mean(strategy)
    except InputError as error:
        raise InputError(f"secure-aggregation must be false with algorithm {config.algorithm!r}: {error}") from None


class SecurelyReproducible(Reproducible):
    """As `Reproducible`, for a strategy that talks to the clients of a round itself, before and after their training.

    It needs their real node ids for that, so they are drawn before it is asked, and it sees no others. What it may keep
    from round to round knows none: `check_can_be_secure` lets only means through.

    In `rounds`, a round has `received`, too: for each client the name, the type, the number and the first few of the
    arrays that the server got of it.
    """

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Let a sample of the clients share their secrets, and address those that did."""
        nodes = self._connected(grid)
        chosen = self._choose_to_train(server_round, nodes)
        few = cast(Grid, _Few(grid, [nodes[client] for client in chosen]))
        messages = list(self._strategy.configure_train(server_round, arrays, config, few))
        if messages:
            self._request = messages[0].content
        for message in messages:
            message.metadata.group_id = str(server_round)  # as the messages before and after the training have it
        of_node = {node: client for client, node in nodes.items()}
        self._tell_last_trained({of_node[message.metadata.dst_node_id]: message for message in messages})
        entry_of(self.rounds, server_round)["clients"]["train"] = len(chosen)
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Write down what has come, and let the strategy unmask the sum."""
        replies = list(replies)
        answers = [reply for reply in replies if not reply.has_error()]  # of a lost node the SuperLink has an error
        received = [
            self._seen(reply, name, record)
            for reply in sorted(answers, key=lambda reply: self._partitions[reply.metadata.src_node_id])
            for name, record in reply.content.array_records.items()
        ]
        entry_of(self.rounds, server_round)["received"] = received
        return super().aggregate_train(server_round, replies)

    def _seen(self, reply: Message, name: str, record: ArrayRecord) -> dict[str, Any]:
        arrays = [array.numpy().reshape(-1) for array in record.values()]
        return {
            "client": self._partitions[reply.metadata.src_node_id],
            "record": name,
            "type": str(arrays[0].dtype),
            "numbers": sum(len(array) for array in arrays),
            "first": arrays[0][:_SHOWN].tolist(),
        }


class _Few:
    """A grid with some of its nodes."""

    def __init__(self, grid: Grid, nodes: list[int]) -> None:
        self._grid, self._nodes = grid, nodes

    def get_node_ids(self) -> list[int]:
        """Return the ids of those nodes."""
        return list(self._nodes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._grid, name)

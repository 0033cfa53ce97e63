"""Finding the clients: which node holds which part of the data, and what else a run must know of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fedlearn_helpers.errors import InputError
from workbook_app.versions import check_versions

PATIENCE = 300.0  # seconds; the first answer of a process comes after it has imported PyTorch


@dataclass(frozen=True)
class Client:
    """What a client says of itself.

    Attributes:
        partition: which part of the data it holds.
        versions: of its software, by package.
        state_rounds: after which rounds it kept the states that it has in files.
    """

    partition: int
    versions: Mapping[str, str]
    state_rounds: tuple[int, ...]


def find_clients(grid: Grid, *, patience: float = PATIENCE) -> dict[int, Client]:
    """Wait until all clients are connected, and return each by its node id.

    How many there must be is what they say themselves: `num-partitions` in their node's configuration.

    Args:
        grid: answers "query" messages with the ClientApp of this package.
        patience: seconds to wait.

    Raises:
        InputError: too few clients, two with the same partition id, different `num-partitions`, or a client with
            another version of Flower or of this package.
        RuntimeError: a client answered with an error.
    """
    clients: dict[int, Client] = {}
    expected: set[int] = set()
    deadline = time.monotonic() + patience
    while True:
        new = [node_id for node_id in grid.get_node_ids() if node_id not in clients]
        questions = [Message(RecordDict(), node_id, "query") for node_id in new]
        for reply in grid.send_and_receive(questions, timeout=max(deadline - time.monotonic(), 0)):
            if reply.has_error():
                raise RuntimeError(f"a client could not say which partition it has: {reason_of(reply)}")
            answer: Any = reply.content.config_records
            client = Client(
                answer["partition"]["partition-id"],
                dict(answer.get("versions", {})),
                tuple(answer.get("states", {}).get("rounds", ())),
            )
            check_versions(client.partition, client.versions)
            clients[reply.metadata.src_node_id] = client
            expected.add(answer["partition"]["num-partitions"])
        if len(expected) > 1:
            raise InputError(f"num-partitions must be the same for all clients, got {sorted(expected)}")
        if clients and len(clients) >= min(expected):
            break
        if time.monotonic() > deadline:
            raise InputError(
                f"num-partitions must be the number of clients, got {expected or 'none'} "
                f"with {len(clients)} clients after {patience:.0f} seconds"
            )
        time.sleep(0.2)
    partitions = sorted(client.partition for client in clients.values())
    if partitions != list(range(len(partitions))):
        raise InputError(f"partition-id must be 0 to {len(partitions) - 1}, each once, got {partitions}")
    return clients


def check_states(clients: Mapping[int, Client], trained: Mapping[int, int], finished: int) -> None:
    """Check that every client still has what it kept in the rounds before.

    Args:
        clients: by node id.
        trained: the last round in which each client trained, by partition id.
        finished: rounds.

    Raises:
        InputError: a client does not.
    """
    for client in sorted(clients.values(), key=lambda client: client.partition):
        newest = max((number for number in client.state_rounds if number <= finished), default=0)
        needed = trained.get(client.partition, 0)
        if newest < needed:
            raise InputError(
                f"client-states-path must have the state that client {client.partition} kept in round {needed}, "
                f"got {f'that of round {newest}' if newest else 'none'}"
            )


def reason_of(reply: Message) -> str:
    """Return the last line of the error in a reply; under Ray that is where a long traceback says what happened."""
    *_, reason = reply.error.reason.strip().splitlines() or ["no reason given"]
    return reason

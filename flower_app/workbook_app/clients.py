"""Finding the clients: which node holds which part of the data."""

import time

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fedlearn_helpers.errors import InputError

PATIENCE = 300.0  # seconds; the first answer of a process comes after it has imported PyTorch


def find_clients(grid: Grid, *, patience: float = PATIENCE) -> dict[int, int]:
    """Wait until all clients are connected, and return the partition id of each by its node id.

    How many there must be is what they say themselves: `num-partitions` in their node's configuration.

    Args:
        grid: answers "query" messages with the ClientApp of this package.
        patience: seconds to wait.

    Raises:
        InputError: too few clients, two with the same partition id, or different `num-partitions`.
        RuntimeError: a client answered with an error.
    """
    partitions: dict[int, int] = {}
    expected: set[int] = set()
    deadline = time.monotonic() + patience
    while True:
        new = [node_id for node_id in grid.get_node_ids() if node_id not in partitions]
        questions = [Message(RecordDict(), node_id, "query") for node_id in new]
        for reply in grid.send_and_receive(questions, timeout=max(deadline - time.monotonic(), 0)):
            if reply.has_error():
                raise RuntimeError(f"a client could not say which partition it has: {reason_of(reply)}")
            answer = reply.content["partition"]
            partitions[reply.metadata.src_node_id] = answer["partition-id"]
            expected.add(answer["num-partitions"])
        if len(expected) > 1:
            raise InputError(f"num-partitions must be the same for all clients, got {sorted(expected)}")
        if partitions and len(partitions) >= min(expected):
            break
        if time.monotonic() > deadline:
            raise InputError(
                f"num-partitions must be the number of clients, got {expected or 'none'} "
                f"with {len(partitions)} clients after {patience:.0f} seconds"
            )
        time.sleep(0.2)
    if sorted(partitions.values()) != list(range(len(partitions))):
        raise InputError(
            f"partition-id must be 0 to {len(partitions) - 1}, each once, got {sorted(partitions.values())}"
        )
    return partitions


def reason_of(reply: Message) -> str:
    """Return the last line of the error in a reply; under Ray that is where a long traceback says what happened."""
    *_, reason = reply.error.reason.strip().splitlines() or ["no reason given"]
    return reason

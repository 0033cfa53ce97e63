"""One client's task: a message goes in, a reply comes out. The same code for every engine in this package."""

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from flwr.app import Context, Message, Metadata, RecordDict
from flwr.clientapp import ClientApp

from fedlearn_helpers.seeds import seeded
from fedlearn_helpers.simulation.packing import PackedRecords, pack, unpack
from fedlearn_helpers.simulation.replies import fault_of, refusal


@dataclass(frozen=True)
class ClientTask:
    """What one client needs to answer one message.

    Attributes:
        metadata, content: the message.
        bytes_down: size of what `payload_bytes` counts in the message.
        node_config, run_config: for the client's context.
        state: what the client kept from earlier tasks; None if nothing.
        round, phase, client: where in the run this is.
        seed: for the global random generators.
    """

    metadata: Metadata
    content: PackedRecords
    bytes_down: int
    node_config: dict[str, Any]
    run_config: dict[str, Any]
    state: PackedRecords | None
    round: int
    phase: str
    client: int
    seed: int


@dataclass(frozen=True)
class ClientResult:
    """What came of a task.

    Attributes:
        seconds: time the client's code took.
        metadata, content: the client's reply; None if its code raised.
        state: what the client wants to keep; None if nothing.
        metrics: the scalar metrics in the reply.
        bytes_up: size of what `payload_bytes` counts in the reply.
        exception: what the client's code raised; None if it replied.
    """

    seconds: float
    metadata: Metadata | None = None
    content: PackedRecords | None = None
    state: PackedRecords | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    bytes_up: int = 0
    exception: Exception | None = None


def do_client_task(client_app: ClientApp, task: ClientTask) -> ClientResult:
    """Call the client's code with its own random seed and its own copy of message and state, on one thread.

    An answer that is no message, an error message (Flower's mods send such), or a reply that the server cannot use
    (`fault_of`) counts as raised.

    One thread, because floating-point sums depend on how they are split over threads: so the bits
    are the same however many clients run in parallel.
    """
    message = message_of(unpack(task.content), task.metadata)
    context = Context(
        run_id=task.metadata.run_id,
        node_id=task.metadata.dst_node_id,
        node_config=dict(task.node_config),
        state=RecordDict() if task.state is None else unpack(task.state),
        run_config=dict(task.run_config),
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = time.perf_counter()
    try:
        with seeded(task.seed):
            reply = client_app(message, context)
        seconds = time.perf_counter() - start
        if not isinstance(reply, Message):
            raise TypeError(f"a client's function must return a Message, got {reply!r}")
        if reply.has_error():
            raise RuntimeError(f"the client answered with an error: {reply.error.reason}")
        if fault := fault_of(task.phase, unpack(task.content), reply.content):
            raise refusal(task.client, task.round, fault)
        return ClientResult(
            seconds,
            reply.metadata,
            pack(reply.content),
            pack(context.state) if context.state else None,
            _scalars(reply.content),
            payload_bytes(reply.content),
        )
    except Exception as exception:
        where = f"client {task.client} in round {task.round}, phase {task.phase!r}"
        exception.add_note(f"(raised by {where})")
        return ClientResult(time.perf_counter() - start, exception=exception)
    finally:
        torch.set_num_threads(threads)


def message_of(content: RecordDict, metadata: Metadata) -> Message:
    """Return a message with metadata that are already complete; Flower's own types do not know this form."""
    return Message(content, metadata=metadata)  # type: ignore[call-overload]


def payload_bytes(content: RecordDict) -> int:
    """Return the size of a message's arrays, as Flower serializes them, and of byte strings in its config records."""
    arrays = sum(len(array.data) for record in content.array_records.values() for array in record.values())
    values = [value for record in content.config_records.values() for value in record.values()]
    parts = [part for value in values for part in (value if isinstance(value, list) else [value])]
    return arrays + sum(len(part) for part in parts if isinstance(part, bytes))


def _scalars(content: RecordDict) -> dict[str, float]:
    return {
        name: value
        for record in content.metric_records.values()
        for name, value in record.items()
        if not isinstance(value, list)
    }

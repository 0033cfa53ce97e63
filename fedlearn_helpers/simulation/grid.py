"""A Flower Grid whose clients live in this process.

Flower's strategies talk to clients through a `Grid`: they push messages and pull replies. Here
a message is answered at once by calling the ClientApp. Strategies, client mods and apps run
unchanged, with three gains for a notebook: it starts at once, the same seed gives the same
bits, and a client's exception is the cell's exception.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Literal
from uuid import uuid4

from flwr.app import Error, Message, Metadata, RecordDict
from flwr.serverapp import Grid

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.simulation.client_task import ClientResult, ClientTask, array_bytes, message_of
from fedlearn_helpers.simulation.history import Exchange
from fedlearn_helpers.simulation.packing import PackedRecords, pack, unpack
from fedlearn_helpers.simulation.position import round_of
from fedlearn_helpers.simulation.replies import NUM_EXAMPLES
from fedlearn_helpers.simulation.workers import Executor

try:  # the one private import: `Message(...)` reads who sends it from here
    from flwr.supercore.task_identity import TaskIdentity
except ImportError as error:
    raise ImportError("fedlearn_helpers needs flwr >= 1.41, < 1.43: flwr.supercore.task_identity is missing") from error

OnError = Literal["raise", "reply"]

_RUN_ID = 1
_SERVER_NODE_ID = 1
_FIRST_CLIENT_NODE_ID = 1000
_CLIENT_RAISED = 2  # Flower's ErrorCode.CLIENT_APP_RAISED_EXCEPTION
_PAUSE = 0.5  # seconds; a strategy that waits for clients sleeps longer between two questions
_PAUSES_UNTIL_HOPELESS = 3


class InProcessGrid(Grid):
    """Answers every message by calling the ClientApp.

    Replies come in the order of the clients' ids, so that sums of floats are the same in every run.
    Each call sees its own seeded global random state, its own copy of the message and the client's
    persistent `Context.state`, which is kept only when the call succeeds.

    Args:
        executor: does the client tasks.
        states: what each client keeps between its tasks; clients that keep nothing are not in it.
        num_clients: clients have `partition-id` 0 … num_clients - 1 in their `node_config`.
        run_config: what apps find in `context.run_config`.
        seed: seeds every call together with round, phase and client.
        on_error: "raise" lets a client's exception end the run; "reply" answers with an error
            message, as a real federation does.
        on_answer: told of every exchange as soon as the client has answered, and of how many messages its
            batch has; with several workers that is not the order of the clients.

    Attributes:
        exchanges: every message with its reply, in the order of the clients within a batch.
    """

    def __init__(
        self,
        executor: Executor,
        states: MutableMapping[int, PackedRecords],
        num_clients: int,
        *,
        run_config: dict[str, Any],
        seed: int,
        on_error: OnError,
        on_answer: Callable[[Exchange, int], None],
    ) -> None:
        self._executor, self._states, self._num_clients = executor, states, num_clients
        self._run_config, self._seed, self._on_error, self._on_answer = run_config, seed, on_error, on_answer
        self.exchanges: list[Exchange] = []
        self._replies: dict[str, Message] = {}
        self._last_question, self._pauses = time.monotonic(), 0
        self._run: Any = SimpleNamespace(run_id=_RUN_ID)

    # Flower's interface ------------------------------------------------------------------

    def set_run(self, run: Any) -> None:
        """Set the run; Flower calls this, nothing here depends on it."""
        self._run = run

    @property
    def run(self) -> Any:
        """The run this grid works for."""
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Create a message to one client."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> list[int]:
        """Return the ids of all clients.

        Raises:
            InputError: a strategy asks again and again, with pauses, and sends nothing. It waits
                for more clients than there are, and here none will ever join.
        """
        now = time.monotonic()
        self._pauses += now - self._last_question > _PAUSE
        self._last_question = now
        if self._pauses >= _PAUSES_UNTIL_HOPELESS:
            raise InputError(
                f"the strategy waits for more clients than num_clients={self._num_clients}: "
                "min_available_nodes, min_train_nodes and min_evaluate_nodes must be <= num_clients"
            )
        return list(range(_FIRST_CLIENT_NODE_ID, _FIRST_CLIENT_NODE_ID + self._num_clients))

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Deliver the messages in the order of the clients' ids, keep the replies, and return the messages' ids."""
        self._pauses = 0
        packed: dict[int, tuple[RecordDict, PackedRecords]] = {}
        tasks = [self._prepare(message, packed) for message in messages]
        in_order = sorted(tasks, key=lambda task: task.client)
        results = self._executor.run(
            in_order, lambda task, result: self._on_answer(_exchange(task, result), len(tasks))
        )
        for task, result in zip(in_order, results, strict=True):
            self._accept(task, result)
        return [task.metadata.message_id for task in tasks]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies to these messages; each reply can be pulled once."""
        return [self._replies.pop(message_id) for message_id in message_ids if message_id in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Deliver the messages and return the replies; there is nothing to wait for, so `timeout` has no effect."""
        in_order = sorted(messages, key=lambda message: message.metadata.dst_node_id)
        return self.pull_messages(self.push_messages(in_order))

    # One client task ---------------------------------------------------------------------

    def _prepare(self, message: Message, packed: dict[int, tuple[RecordDict, PackedRecords]]) -> ClientTask:
        """Pack the message; FedAvg puts one RecordDict into the messages of all clients, which is packed once."""
        node_id = message.metadata.dst_node_id
        client = node_id - _FIRST_CLIENT_NODE_ID
        if not 0 <= client < self._num_clients:
            raise InputError(f"a message's dst_node_id must be one of grid.get_node_ids(), got {node_id}")
        content = message.content
        if id(content) not in packed:
            packed[id(content)] = (content, pack(content))
        server_round, phase = round_of(content), message.metadata.message_type
        return ClientTask(
            metadata=_delivered(message.metadata),
            content=packed[id(content)][1],
            bytes_down=array_bytes(content),
            node_config={"partition-id": client, "num-partitions": self._num_clients},
            run_config=self._run_config,
            state=self._states.get(client),
            round=server_round,
            phase=phase,
            client=client,
            seed=derive_seed(self._seed, "client", server_round, phase, client),
        )

    def _accept(self, task: ClientTask, result: ClientResult) -> None:
        """Keep reply, state and a record of the exchange."""
        exchange = _exchange(task, result)
        if result.exception is None:
            assert result.content is not None and result.metadata is not None, "a client that raised nothing replied"
            reply = message_of(unpack(result.content), result.metadata)
            self._keep_state(task.client, result.state)
        elif self._on_error == "raise":
            raise result.exception
        else:
            sent = message_of(RecordDict(), task.metadata)  # a reply takes nothing but the metadata from it
            reply = Message(Error(code=_CLIENT_RAISED, reason=exchange.error), reply_to=sent)
        self._replies[task.metadata.message_id] = reply
        self.exchanges.append(exchange)

    def _keep_state(self, client: int, state: PackedRecords | None) -> None:
        if state is None:
            self._states.pop(client, None)
        else:
            self._states[client] = state


@contextmanager
def server_identity() -> Iterator[None]:
    """Let `Message(...)` know who sends: the server of this run. Restores what was there before."""
    before = (TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id)
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, _RUN_ID, _SERVER_NODE_ID
    try:
        yield
    finally:
        TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id = before


def _exchange(task: ClientTask, result: ClientResult) -> Exchange:
    failure, metrics = result.exception, dict(result.metrics)
    examples = metrics.pop(NUM_EXAMPLES, None)
    return Exchange(
        round=task.round,
        phase=task.phase,
        client=task.client,
        examples=None if examples is None or not math.isfinite(examples) else int(examples),
        metrics=metrics,
        bytes_down=task.bytes_down,
        bytes_up=result.bytes_up,
        seconds=result.seconds,
        error=None if failure is None else f"{type(failure).__name__}: {failure}",
    )


def _delivered(sent: Metadata) -> Metadata:
    """Complete a message's metadata as a real federation does on its way."""
    return Metadata(
        run_id=_RUN_ID,
        message_id=str(uuid4()),
        src_node_id=_SERVER_NODE_ID,
        dst_node_id=sent.dst_node_id,
        reply_to_message_id="",
        group_id=sent.group_id,
        created_at=sent.created_at,
        ttl=sent.ttl,
        message_type=sent.message_type,
    )

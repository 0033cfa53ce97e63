"""A Flower Grid whose clients live in this process.

Flower's strategies talk to clients through a `Grid`: they push messages and pull replies. Here
a message is answered at once by calling the ClientApp. Strategies, client mods and apps run
unchanged, with three gains for a notebook: it starts at once, the same seed gives the same
bits, and a client's exception is the cell's exception.
"""

import math
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Literal
from uuid import uuid4

from flwr.app import Error, Message, Metadata, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Strategy

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.simulation.client_task import ClientResult, ClientTask, message_of, payload_bytes
from fedlearn_helpers.simulation.history import Exchange
from fedlearn_helpers.simulation.packing import PackedRecords, pack, unpack
from fedlearn_helpers.simulation.position import round_of
from fedlearn_helpers.simulation.replies import NUM_EXAMPLES, refusal, unlike_most
from fedlearn_helpers.simulation.workers import Executor

try:  # the one private import: `Message(...)` reads who sends it from here
    from flwr.supercore.task_identity import TaskIdentity
except ImportError as error:
    raise ImportError("fedlearn_helpers needs flwr >= 1.41, < 1.43: flwr.supercore.task_identity is missing") from error

OnError = Literal["raise", "reply"]
_Place = tuple[int, str, int]  # round, phase, client

_RUN_ID = 1
_SERVER_NODE_ID = 1
_FIRST_CLIENT_NODE_ID = 1000
_CLIENT_RAISED = 2  # Flower's ErrorCode.CLIENT_APP_RAISED_EXCEPTION
_SECONDS_UNTIL_HOPELESS = 60  # of questions without a message; who polls for another reason stops sooner


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
        node_configs: what clients find in their `node_config` besides.
        seed: seeds every call together with round, phase and client; and with the number of earlier messages like it,
            where they are in one batch or name no round.
        on_error: "raise" lets a client's exception end the run; "reply" answers with an error
            message, as a real federation does.
        on_answer: told of every exchange as soon as the client has answered, and of how many messages its
            batch has; with several workers that is not the order of the clients.

    Attributes:
        exchanges: every message with its reply, in the order of the clients within a batch.
        refused: what was said to another thread that sent messages, too; None if there was none.
    """

    def __init__(
        self,
        executor: Executor,
        states: MutableMapping[int, PackedRecords],
        num_clients: int,
        *,
        run_config: dict[str, Any],
        node_configs: Mapping[int, dict[str, Any]],
        seed: int,
        on_error: OnError,
        on_answer: Callable[[Exchange, int], None],
    ) -> None:
        self._executor, self._states = executor, states
        self._num_clients, self._node_configs = num_clients, node_configs
        self._run_config, self._seed, self._on_error, self._on_answer = run_config, seed, on_error, on_answer
        self.exchanges: list[Exchange] = []
        self._replies: dict[str, Message] = {}
        self._without_round: Counter[_Place] = Counter()
        self._asked_in: set[int] = set()  # seconds, since the last message
        self._at_work = threading.Lock()
        self.refused: InputError | None = None
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
            InputError: the strategy waits for more clients than there are, and none will ever join; or the server asks
                for a minute and sends nothing.
        """
        asking = sys._getframe(1)
        wanted = asking.f_locals.get("min_available_nodes", 0) if asking.f_code.co_name == "sample_nodes" else 0
        if wanted > self._num_clients:  # Flower's `sample_nodes` asks until there are so many
            raise InputError(
                f"the strategy waits for more clients than num_clients={self._num_clients}: "
                f"min_available_nodes, min_train_nodes and min_evaluate_nodes must be <= num_clients, got {wanted}"
            )
        if not self._at_work.locked():
            self._asked_in.add(int(time.monotonic()))
        if len(self._asked_in) >= _SECONDS_UNTIL_HOPELESS:
            raise InputError(
                f"the server asked for the clients in {len(self._asked_in)} different seconds and sent no message: it "
                f"seems to wait for more clients than num_clients={self._num_clients}, and no more will join"
            )
        return list(range(_FIRST_CLIENT_NODE_ID, _FIRST_CLIENT_NODE_ID + self._num_clients))

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Deliver the messages in the order of the clients' ids, keep the replies, and return the messages' ids.

        A second message to a client goes out when the first is answered, and sees the state that it has left.

        Raises:
            InputError: a message to nobody, or from a second thread while clients are at work.
        """
        return self._deliver(messages, to_average=False)

    def _deliver(self, messages: Iterable[Message], *, to_average: bool) -> list[str]:
        batch = list(messages)
        clients = [self._client_of(message) for message in batch]
        message_ids = [""] * len(batch)
        packed: dict[int, tuple[RecordDict, PackedRecords]] = {}
        repeated: Counter[_Place] = Counter()
        start = len(self.exchanges)
        with self._one_batch_at_a_time():
            for positions in _one_per_client(clients):
                tasks = [self._prepare(batch[position], clients[position], packed, repeated) for position in positions]
                results = self._executor.run(
                    tasks, lambda task, result: self._on_answer(_exchange(task, result), len(batch))
                )
                for position, task, result in zip(positions, tasks, results, strict=True):
                    self.exchanges.append(self._accept(task, result))
                    message_ids[position] = task.metadata.message_id
                if to_average:
                    self._refuse_unlike(tasks)
            self.exchanges[start:] = sorted(self.exchanges[start:], key=lambda exchange: exchange.client)
        return message_ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies to these messages; each reply can be pulled once."""
        return [self._replies.pop(message_id) for message_id in message_ids if message_id in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Deliver the messages and return the replies; there is nothing to wait for, so `timeout` has no effect.

        Where Flower's averaging asks, replies that it could not average with the others are refused (`unlike_most`).

        Raises:
            FaultyReply: such a reply, with on_error="raise".
            InputError: as `push_messages`, or no more than half of these replies are alike.
        """
        asking = sys._getframe(1)
        to_average = asking.f_code.co_name == "start" and _averages(asking.f_locals.get("self"))
        in_order = sorted(messages, key=lambda message: message.metadata.dst_node_id)
        return self.pull_messages(self._deliver(in_order, to_average=to_average))

    @contextmanager
    def _one_batch_at_a_time(self) -> Iterator[None]:
        if not self._at_work.acquire(blocking=False):
            self.refused = InputError(
                "a ServerApp must send one batch of messages after the other, from one thread: it called push_messages "
                "or send_and_receive while clients were at work on an earlier batch"
            )
            raise self.refused
        try:
            yield
        finally:
            self._asked_in.clear()
            self._at_work.release()

    # One client task ---------------------------------------------------------------------

    def _client_of(self, message: Message) -> int:
        node_id = message.metadata.dst_node_id
        if not 0 <= node_id - _FIRST_CLIENT_NODE_ID < self._num_clients:
            raise InputError(f"a message's dst_node_id must be one of grid.get_node_ids(), got {node_id}")
        return node_id - _FIRST_CLIENT_NODE_ID

    def _prepare(
        self,
        message: Message,
        client: int,
        packed: dict[int, tuple[RecordDict, PackedRecords]],
        repeated: Counter[_Place],
    ) -> ClientTask:
        """Pack the message; FedAvg puts one RecordDict into the messages of all clients, which is packed once."""
        content, metadata = message.content, message.metadata
        if id(content) not in packed:
            packed[id(content)] = (content, pack(content))
        server_round, phase = round_of(content), metadata.message_type
        if server_round is None:  # messages like it in later batches must have other seeds
            repeated = self._without_round
        place = (server_round or 0, phase, client)
        number = repeated[place]
        repeated[place] += 1
        if server_round is None:
            server_round = int(metadata.group_id) if metadata.group_id.isdecimal() else 0
        numbers = {"partition-id": client, "num-partitions": self._num_clients}
        return ClientTask(
            metadata=_delivered(metadata),
            content=packed[id(content)][1],
            bytes_down=payload_bytes(content),
            node_config=self._node_configs.get(client, {}) | numbers,
            run_config=self._run_config,
            state=self._states.get(client),
            round=server_round,
            phase=phase,
            client=client,
            seed=derive_seed(self._seed, "client", *place, *([number] if number else [])),
        )

    def _accept(self, task: ClientTask, result: ClientResult) -> Exchange:
        """Keep reply and state, and return a record of the exchange."""
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
        return exchange

    def _refuse_unlike(self, tasks: Sequence[ClientTask]) -> None:
        """Turn replies to the last tasks that differ from most others into failures, as if they had never come."""
        contents: dict[tuple[str, int], dict[int, RecordDict]] = defaultdict(dict)
        for task in tasks:
            reply = self._replies[task.metadata.message_id]
            if not reply.has_error():
                contents[task.phase, task.round][task.client] = reply.content
        faults = {place: unlike_most(*place, replies) for place, replies in contents.items()}
        for number, task in enumerate(tasks, len(self.exchanges) - len(tasks)):
            if fault := faults.get((task.phase, task.round), {}).get(task.client):
                self._keep_state(task.client, task.state)
                refused = refusal(task.client, task.round, fault)
                failure = ClientResult(self.exchanges[number].seconds, exception=refused)
                self.exchanges[number] = self._accept(task, failure)

    def _keep_state(self, client: int, state: PackedRecords | None) -> None:
        if state is None:
            self._states.pop(client, None)
        else:
            self._states[client] = state


def _averages(strategy: object) -> bool:
    """Tell whether this is Flower's FedAvg, one made of it, or a strategy around such a one."""
    if not isinstance(strategy, Strategy):
        return False
    return isinstance(strategy, FedAvg) or any(map(_averages, vars(strategy).values()))


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


def _one_per_client(clients: Sequence[int]) -> list[list[int]]:
    """Return positions in the order of the clients, in lists that have no client twice."""
    parts: dict[int, list[int]] = defaultdict(list)
    taken: Counter[int] = Counter()
    for position in sorted(range(len(clients)), key=clients.__getitem__):
        parts[taken[clients[position]]].append(position)
        taken[clients[position]] += 1
    return [parts[number] for number in sorted(parts)]

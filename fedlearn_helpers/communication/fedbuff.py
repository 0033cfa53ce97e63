"""FedBuff: the server waits for a few answers, never for the slowest client.

So many clients are at work all the time; one that answers is replaced at once. Answers go into a buffer. When K are in
it, the server makes the next version of the model, and staleness tau is how many versions have been made since a
client received its base v:

    w <- w + (1 / K) sum_k (w_k - v_k) / sqrt(1 + tau_k)

Source: Nguyen et al. 2022, https://arxiv.org/abs/2106.06639, algorithm 1, with a server's learning rate of 1. Here a
client whose answer is in the buffer is not asked again before the next version, so a buffer of all clients is FedAvg
with equal weights.

The clock is simulated: Flower's grid in this process answers at once, and a client's answer waits here until it
arrives by the clock.
"""

from __future__ import annotations  # the tables' type is imported when the first table is made

import heapq
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from fedlearn_helpers.algorithms.aggregation import State, rounded_to, state_of, weighted_mean
from fedlearn_helpers.communication.links import HOUR, Clock
from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.progress import Progress
from fedlearn_helpers.seeds import check_seed, derive_seed
from fedlearn_helpers.simulation import History, simulate
from fedlearn_helpers.simulation.client_task import payload_bytes
from fedlearn_helpers.simulation.grid import OnError
from fedlearn_helpers.simulation.replies import NEEDED_RECORDS
from fedlearn_helpers.simulation.workers import Workers

if TYPE_CHECKING:
    import pandas as pd

_ARRAYS = "arrays"
_COLUMNS = (
    "client",
    "turn",
    "base",
    "version",
    "staleness",
    "weight",
    "started",
    "arrived",
    "bytes_down",
    "bytes_up",
    "error",
)
Measure = Callable[[int, ArrayRecord], MetricRecord | None]
"""Measures a version of the model, from 0, the first; None: this one is not measured."""
StalenessWeight = Callable[[int], float]
"""Maps a staleness, >= 0, to what an update counts for, in [0, 1]."""


def inverse_root(staleness: int) -> float:
    """Return 1 / sqrt(1 + staleness), the paper's choice."""
    return 1 / math.sqrt(1 + staleness)


def no_weight(staleness: int) -> float:
    """Return 1: an old update counts as much as a new one."""
    return 1.0


@dataclass(frozen=True)
class AsynchronousResult:
    """What came of an asynchronous federation.

    Attributes:
        curve: a row per version of the model, from 0, the first: `hours` (simulated, when it was made), `bytes` (of all
            messages down that were sent until then, and up that had arrived), `turns` (answers until then), and what
            was measured, such as `accuracy`.
        turns: a row per answer, in the order of arrival: `client`, `turn` (the client's own, from 0), `base` (the
            version it has received), `version` (the one that it became a part of; missing if the time was over before),
            `staleness`, `weight` (0 where the client failed), `started` and `arrived` (hours), `bytes_down`,
            `bytes_up`, `error`.
        model: the last version.
        history: all messages; a message's round is the client's own turn, from 1. Answers that came after the
            end are among them.
    """

    curve: pd.DataFrame
    turns: pd.DataFrame
    model: ArrayRecord
    history: History


def run_fedbuff(
    client_app: ClientApp,
    initial_arrays: ArrayRecord,
    clock: Clock,
    *,
    buffer_size: int,
    at_work: int,
    hours: float,
    seed: int,
    train_config: Mapping[str, float] | None = None,
    measure: Measure | None = None,
    staleness_weight: StalenessWeight = inverse_root,
    workers: Workers = "auto",
    on_error: OnError = "raise",
    label: str | None = "Simulated hour",
) -> AsynchronousResult:
    """Run a federation by FedBuff for so many simulated hours.

    Clients that have begun and whose answers cannot have arrived yet train in parallel.

    Args:
        client_app: the clients' code, the same as in rounds. It finds its own turn, from 1, as the round.
        initial_arrays: version 0.
        clock: says when answers arrive, from the bytes of the messages; one link per client.
        buffer_size: K, answers that make a version; from 1 to the number of clients.
        at_work: how many clients are at work at any time; from 1 to the number of clients.
        hours: simulated, > 0. What arrives later is lost.
        seed: decides which clients are asked, and seeds clients.
        train_config: for the clients, such as an algorithm's settings.
        measure: called for each version.
        staleness_weight: what an update counts for.
        workers, on_error, label: as in `simulate`. The numbers are the same for any number of workers. A client that
            fails counts for nothing, and another takes its place when it would have trained.

    Raises:
        InputError: an argument out of range, or a staleness weight outside [0, 1].
    """
    num_clients = len(clock)
    check_whole_number("buffer_size", buffer_size, 1)
    check_whole_number("at_work", at_work, 1)
    if buffer_size > num_clients:
        raise InputError(
            f"buffer_size must be at most the {num_clients} clients that can answer, since more never come, got "
            f"{buffer_size}"
        )
    if at_work > num_clients:
        raise InputError(f"at_work must be at most the {num_clients} clients, got {at_work}")
    check_number("hours", hours, "> 0", lambda number: number > 0)
    seed = check_seed(seed)
    server = _Server(initial_arrays, clock, buffer_size, staleness_weight, dict(train_config or {}), measure, seed)
    server_app = ServerApp()

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        with Progress(math.ceil(hours), label) as progress:
            server.run(grid, at_work, hours * HOUR, progress)

    history = simulate(
        server_app, client_app, num_clients=num_clients, seed=seed, workers=workers, on_error=on_error, label=None
    )
    return server.result(history)


@dataclass
class _Turn:
    """A client at work."""

    client: int
    number: int
    base: int
    received: ArrayRecord
    started: float
    bytes_down: int
    arrives: float  # until its answer is known: when it has trained, which is no later
    reply: Message | None = None
    bytes_up: int = 0
    row: dict[str, Any] = field(default_factory=dict)

    def __lt__(self, other: _Turn) -> bool:
        return (self.arrives, self.client) < (other.arrives, other.client)


@dataclass
class _Server:
    arrays: ArrayRecord
    clock: Clock
    buffer_size: int
    staleness_weight: StalenessWeight
    config: dict[str, float]
    measure: Measure | None
    seed: int
    version: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    buffer: list[_Turn] = field(default_factory=list)

    def run(self, grid: Grid, at_work: int, until: float, progress: Progress) -> None:
        nodes = list(grid.get_node_ids())
        rng = np.random.default_rng(derive_seed(self.seed, "fedbuff"))
        turns_of: Counter[int] = Counter()
        sent: list[_Turn] = []  # clients at work whose answers are not known yet
        known: list[_Turn] = []  # a heap: answers on their way
        bytes_down = bytes_up = answers = 0
        now = 0.0
        self._note_version(now, 0, 0)
        while True:
            busy = {turn.client for turn in [*sent, *known]}
            waiting = busy | {turn.client for turn in self.buffer}
            free = [client for client in range(len(nodes)) if client not in waiting]
            for client in sorted(rng.permutation(free)[: at_work - len(busy)].tolist()):
                turn = self._start(client, turns_of[client], now)
                turns_of[client] += 1
                bytes_down += turn.bytes_down
                sent.append(turn)
            if sent and (not known or min(sent).arrives <= known[0].arrives):  # the next answer may be one of theirs
                self._ask(grid, nodes, sent)
                for turn in sent:
                    heapq.heappush(known, turn)
                sent = []
            now = known[0].arrives
            if now > until:
                return
            progress.update(now / HOUR)
            while known and known[0].arrives == now:  # all that arrive at once are taken before anybody begins
                turn = heapq.heappop(known)
                bytes_up += turn.bytes_up
                answers += self._take(turn)
                if len(self.buffer) == self.buffer_size:
                    self._aggregate()
                    self._note_version(now, bytes_down + bytes_up, answers)

    def _start(self, client: int, number: int, now: float) -> _Turn:
        down = payload_bytes(RecordDict({_ARRAYS: self.arrays}))
        return _Turn(
            client, number, self.version, self.arrays, now, down, self.clock.trained(client, number, now, down)
        )

    def _ask(self, grid: Grid, nodes: list[int], turns: list[_Turn]) -> None:
        """Let clients train, in parallel; their answers are known from now on, and arrive later."""
        messages = []
        for turn in turns:
            config = ConfigRecord({**self.config, "server-round": turn.number + 1, NEEDED_RECORDS: [_ARRAYS]})
            content = RecordDict({_ARRAYS: turn.received, "config": config})
            messages.append(grid.create_message(content, "train", nodes[turn.client], group_id=str(turn.number + 1)))
        replies = {reply.metadata.src_node_id: reply for reply in grid.send_and_receive(messages)}
        for turn in turns:
            turn.reply = replies[nodes[turn.client]]
            if not turn.reply.has_error():
                turn.bytes_up = payload_bytes(turn.reply.content)
                turn.arrives = self.clock.answered(
                    turn.client, turn.number, turn.started, turn.bytes_down, turn.bytes_up
                )

    def _take(self, turn: _Turn) -> bool:
        """Put an answer into the buffer; return whether there was one."""
        assert turn.reply is not None, "it has been asked for"
        failed = turn.reply.has_error()
        staleness = self.version - turn.base
        weight = 0.0 if failed else self.staleness_weight(staleness)
        check_number("staleness_weight", weight, "a function to [0, 1]", lambda share: 0 <= share <= 1)
        turn.row = {
            "client": turn.client,
            "turn": turn.number,
            "base": turn.base,
            "version": math.nan,
            "staleness": staleness,
            "weight": weight,
            "started": turn.started / HOUR,
            "arrived": turn.arrives / HOUR,
            "bytes_down": turn.bytes_down,
            "bytes_up": turn.bytes_up,
            "error": turn.reply.error.reason if failed else None,
        }
        self.rows.append(turn.row)
        if failed:
            return False
        if (records := list(turn.reply.content.array_records)) != [_ARRAYS]:
            raise InputError(f"client_app must answer with a model in {_ARRAYS!r} and no other arrays, got {records}")
        self.buffer.append(turn)
        return True

    def _aggregate(self) -> None:
        """Make the next version: the mean of the moved models, and of this one for what staleness takes away."""
        now = state_of(self.arrays)
        turns = sorted(self.buffer, key=lambda turn: turn.client)  # as in a round: sums of floats depend on the order
        weights = [turn.row["weight"] for turn in turns]
        models = [_moved(turn, now, self.version) for turn in turns]
        mean = weighted_mean([*models, now], [*weights, len(turns) - sum(weights)])
        dtypes = {name: tensor.dtype for name, tensor in now.items()}
        self.arrays = ArrayRecord({name: rounded_to(dtypes[name], tensor) for name, tensor in mean.items()})
        self.version, self.buffer = self.version + 1, []
        for turn in turns:
            turn.row["version"] = self.version

    def _note_version(self, now: float, num_bytes: int, answers: int) -> None:
        measured = self.measure(self.version, self.arrays) if self.measure is not None else None
        numbers = {"version": self.version, "hours": now / HOUR, "bytes": num_bytes, "turns": answers}
        self.curve.append(numbers | dict(measured or {}))

    def result(self, history: History) -> AsynchronousResult:
        import pandas as pd  # takes a third of a second

        return AsynchronousResult(
            pd.DataFrame(self.curve).set_index("version"),
            pd.DataFrame(self.rows, columns=list(_COLUMNS)),  # which are there without rows, too
            self.arrays,
            history,
        )


def _moved(turn: _Turn, now: State, version: int) -> State:
    """Return this version of the model with a client's update: w + (w_k - v), and w_k itself where w is v."""
    assert turn.reply is not None, "it is in the buffer"
    trained = state_of(turn.reply.content.array_records[_ARRAYS])
    if turn.base == version:
        return trained
    base = state_of(turn.received)
    return {name: trained[name] + (now[name] - base[name]) for name in now}

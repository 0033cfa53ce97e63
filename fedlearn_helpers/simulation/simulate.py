"""`simulate`: run a Flower ServerApp and ClientApp inside this process."""

import logging
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.progress import Progress
from fedlearn_helpers.seeds import check_seed, derive_seed, seeded
from fedlearn_helpers.simulation.grid import InProcessGrid, OnError, server_identity
from fedlearn_helpers.simulation.history import Exchange, History, read_result
from fedlearn_helpers.simulation.packing import PackedRecords
from fedlearn_helpers.simulation.replies import nobody_has_examples
from fedlearn_helpers.simulation.states import StatesOnDisk
from fedlearn_helpers.simulation.workers import Workers, make_executor, short_collections


def simulate(
    server_app: ServerApp,
    client_app: ClientApp,
    *,
    num_clients: int,
    seed: int,
    run_config: dict[str, Any] | None = None,
    workers: Workers = "auto",
    on_error: OnError = "raise",
    state_folder: Path | str | None = None,
    states: MutableMapping[int, PackedRecords] | None = None,
    label: str | None = "Round",
) -> History:
    """Run a federation in this process and return its history.

    The same apps, seed and run_config give the same bits on the same machine. The apps are
    Flower's own and also run by `flwr run`.

    Args:
        server_app: the server's code; calls `keep_result` to hand over the final model.
        client_app: the clients' code; finds its number in `context.node_config["partition-id"]`.
        num_clients: how many clients there are, >= 1.
        seed: >= 0; decides which clients are sampled, and seeds every client's global generators.
        run_config: `context.run_config` of server and clients. With `num-server-rounds` in it the
            progress line knows how far the run is.
        workers: processes to spread the clients over, with the same results for any number; "auto"
            is one per core where possible. Clients then share nothing but what is in messages and in
            their `context.state`, as in a real federation.
        on_error: "raise": a client's exception ends the run, with the client's own traceback; so does a reply that
            the server cannot use, such as a model that is not finite, with one sentence (`fault_of`).
            "reply": it counts as a failure of that client, and the strategy goes on with the rest.
        state_folder: an empty or new folder in which clients' states are kept, one file per client that has
            one; None keeps them in memory.
        states: what clients have kept from earlier rounds, by client, such as a `Checkpoint`'s; the run goes on
            changing it. None starts with nothing.
        label: what the progress line counts; None for no such line, and no line about failures at the end.

    Raises:
        InputError: an argument out of range, both state_folder and states, a state_folder that is not empty, a
            strategy that waits for more clients than there are, a reply that cannot be used, or a round in which no
            client has examples.
    """
    if num_clients < 1:
        raise InputError(f"num_clients must be >= 1, got {num_clients}")
    seed = check_seed(seed)
    if on_error not in get_args(OnError):
        raise InputError(f"on_error must be 'raise' or 'reply', got {on_error!r}")
    if states is not None and state_folder is not None:
        raise InputError(f"state_folder must be None where states are given, got {str(state_folder)!r}")
    if states is None:
        states = {} if state_folder is None else StatesOnDisk(Path(state_folder))
    run_config = dict(run_config or {})
    start = time.perf_counter()
    with (
        quiet_flower(),
        server_identity(),
        seeded(derive_seed(seed, "server")),
        short_collections(),
        make_executor(client_app, workers, num_clients) as executor,
        Progress(run_config.get("num-server-rounds"), label) as progress,
    ):
        grid = InProcessGrid(
            executor,
            states,
            num_clients,
            run_config=run_config,
            seed=seed,
            on_error=on_error,
            on_answer=_ProgressOfRounds(progress),
        )
        context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config=dict(run_config))
        try:
            server_app(grid, context)
        except ZeroDivisionError:
            if sentence := _nobody_has_examples(grid.exchanges):  # an average's
                raise InputError(sentence) from None
            raise
    arrays, aggregated = read_result(context)
    history = History(grid.exchanges, aggregated, arrays, time.perf_counter() - start)
    if label is not None:
        _report_failures(grid.exchanges)
    return history


def _nobody_has_examples(exchanges: list[Exchange]) -> str | None:
    """Return what `nobody_has_examples` says of the last batch of replies."""
    place = (exchanges[-1].round, exchanges[-1].phase) if exchanges else None
    last = [exchange for exchange in exchanges if (exchange.round, exchange.phase) == place]
    return nobody_has_examples([exchange.examples for exchange in last if exchange.error is None])


def _report_failures(exchanges: list[Exchange]) -> None:
    if failed := sum(exchange.error is not None for exchange in exchanges):
        print(f"{failed} of {len(exchanges)} messages to clients failed; history.failures lists them.")
    training = [exchange for exchange in exchanges if exchange.phase == "train"]
    trained = {exchange.round for exchange in training if exchange.error is None}
    if idle := sorted({exchange.round for exchange in training} - trained):
        numbers = f"Round{'s' if len(idle) > 1 else ''} {', '.join(map(str, idle))}"
        print(f"{numbers}: no client returned a model, so it stays as it was.")


class _ProgressOfRounds:
    """Keeps the progress line true: the round, and the averages of what clients have reported in it so far."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._num_rounds = progress, progress.total
        self._round, self._phase = 0, ""
        self._answers = 0
        self._trained = 0.0
        self._sums: dict[str, tuple[float, float]] = {}  # by "phase metric": sum of weight x value, sum of weights

    def __call__(self, exchange: Exchange, batch_size: int) -> None:
        if exchange.round != self._round:
            self._sums = {}
        if (exchange.round, exchange.phase) != (self._round, self._phase):
            self._round, self._phase, self._answers = exchange.round, exchange.phase, 0
        self._answers += 1
        for name, value in exchange.metrics.items():
            total, weight = self._sums.get(f"{exchange.phase} {name}", (0.0, 0.0))
            more = exchange.examples or 0
            self._sums[f"{exchange.phase} {name}"] = (total + more * value, weight + more)
        if exchange.round == 0:  # a message outside rounds: counted where there are no rounds to count
            if self._num_rounds is None:
                self._progress.total = batch_size
                self._progress.update(self._answers)
            return
        if exchange.phase == "train":
            self._trained = exchange.round - 1 + self._answers / batch_size
        averages = {name: total / weight for name, (total, weight) in self._sums.items() if weight}
        self._progress.update(self._trained, ", ".join(f"{name} {value:.3f}" for name, value in averages.items()))


@contextmanager
def quiet_flower() -> Iterator[None]:
    """Silence Flower's log of strategies and rounds: the progress line and the history say the same."""
    logger = logging.getLogger("flwr")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)

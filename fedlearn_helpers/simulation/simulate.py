"""`simulate`: run a Flower ServerApp and ClientApp inside this process."""

import threading
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fedlearn_helpers.device import computing_on, device_in_use
from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.progress import Progress
from fedlearn_helpers.seeds import check_seed, derive_seed, seeded
from fedlearn_helpers.simulation.arguments import NodeConfig, check_apps, check_kind, flat_config, node_configs
from fedlearn_helpers.simulation.grid import InProcessGrid, OnError, server_identity
from fedlearn_helpers.simulation.history import Exchange, History, keep_result, read_result
from fedlearn_helpers.simulation.output import quiet_flower
from fedlearn_helpers.simulation.packing import PackedRecords
from fedlearn_helpers.simulation.replies import nobody_has_examples
from fedlearn_helpers.simulation.results import returned_results
from fedlearn_helpers.simulation.states import StatesOnDisk
from fedlearn_helpers.simulation.workers import Workers, make_executor, short_collections

_RUNNING = threading.RLock()  # a run sets global generators and Flower's idea of who sends


def simulate(
    server_app: ServerApp,
    client_app: ClientApp,
    *,
    num_clients: int,
    seed: int,
    run_config: Mapping[str, Any] | None = None,
    node_config: NodeConfig | None = None,
    workers: Workers = "auto",
    on_error: OnError = "raise",
    state_folder: Path | str | None = None,
    states: MutableMapping[int, PackedRecords] | None = None,
    label: str | None = "Round",
) -> History:
    """Run a federation in this process and return its history.

    The same apps, seed and run_config give the same bits on the same machine. The apps are
    Flower's own and also run by `flwr run`. A client or a server may itself call `simulate`; another thread may not.

    Args:
        server_app: the server's code; what its strategy's `start` returns, or `keep_result` gets, is in the history.
        client_app: the clients' code; finds its number in `context.node_config["partition-id"]`.
        num_clients: how many clients there are, >= 1.
        seed: >= 0; decides which clients are sampled, and seeds every client's global generators.
        run_config: `context.run_config` of server and clients; tables in it become `table.name`, as in the
            `pyproject.toml` of an app. With `num-server-rounds` in it the progress line knows how far the run is.
        node_config: what is in a client's `context.node_config` besides `partition-id` and `num-partitions`: a function
            of the client's number that returns a dictionary, or a list of dictionaries.
        workers: processes to spread the clients over, with the same results for any number; "auto"
            is one per core where possible. Clients then share nothing but what is in messages and in
            their `context.state`, as in a real federation. A worker that has a message and uses no processor time for
            five minutes ends the run; clients that sleep longer need workers=1.
        on_error: "raise": a client's exception ends the run, with the client's own traceback; so does a reply that
            the server cannot use, such as a model that is not finite, with one sentence (`fault_of`, and `unlike_most`
            where Flower's FedAvg averages, or a strategy made of it).
            "reply": it counts as a failure of that client, and the strategy goes on with the rest.
        state_folder: an empty or new folder in which clients' states are kept, one file per client that has
            one; None keeps them in memory.
        states: what clients have kept from earlier rounds, by client, such as a `Checkpoint`'s; the run goes on
            changing it. None starts with nothing.
        label: what the progress line counts; None for no such line, and no line about failures at the end.

    Raises:
        InputError: an argument of another kind or out of range, both state_folder and states, a state_folder that is
            not empty, a strategy that waits for more clients than there are, a reply that cannot be used, a round in
            which no client has examples, or where no more than half of the replies to average are alike, messages from
            several threads at once, or a run in another thread.
        WorkerError: a worker died or hangs.
    """
    check_apps(server_app, client_app)
    num_clients = check_whole_number("num_clients", num_clients, 1)
    seed = check_seed(seed)
    check_kind("label", label, (str, type(None)), "a string or None")
    if not isinstance(on_error, str) or on_error not in get_args(OnError):
        raise InputError(f"on_error must be 'raise' or 'reply', got {on_error!r}")
    config = flat_config("run_config", {} if run_config is None else run_config)
    configs = node_configs(node_config, num_clients)
    executor = make_executor(client_app, workers, num_clients)
    check_kind("states", states, (MutableMapping, type(None)), "a dictionary that can be changed, or None")
    check_kind("state_folder", state_folder, (str, Path, type(None)), "a path or None")
    if states is not None and state_folder is not None:
        raise InputError(f"state_folder must be None where states are given, got {str(state_folder)!r}")
    num_rounds = config.get("num-server-rounds")
    start = time.perf_counter()
    with _the_only_run():
        if states is None:
            states = {} if state_folder is None else StatesOnDisk(Path(state_folder))
        context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config=dict(config))
        with (
            quiet_flower(),
            server_identity(),
            seeded(derive_seed(seed, "server")),
            short_collections(),
            computing_on(device_in_use()),
            executor,
            returned_results() as results,
            Progress(num_rounds if isinstance(num_rounds, int) else None, label) as progress,
        ):
            grid = InProcessGrid(
                executor,
                states,
                num_clients,
                run_config=config,
                node_configs=configs,
                seed=seed,
                on_error=on_error,
                on_answer=_ProgressOfRounds(progress),
            )
            try:
                server_app(grid, context)
            except ZeroDivisionError:
                if sentence := _nobody_has_examples(grid.exchanges):  # an average's
                    raise InputError(sentence) from None
                raise
            if grid.refused is not None:
                raise grid.refused
    arrays, aggregated = read_result(context)
    handed_over = arrays is not None or any(aggregated.values())
    if results and not handed_over:
        keep_result(results[-1], context)
        arrays, aggregated = read_result(context)
    history = History(grid.exchanges, aggregated, arrays, time.perf_counter() - start)
    if label is not None:
        _report(history, has_model=handed_over or bool(results))
    return history


@contextmanager
def _the_only_run() -> Iterator[None]:
    if not _RUNNING.acquire(blocking=False):
        raise InputError(
            "simulate is at work in another thread, and two runs would take each other's random numbers: let one run "
            "after the other, or each in a process of its own"
        )
    try:
        yield
    finally:
        _RUNNING.release()


def _nobody_has_examples(exchanges: list[Exchange]) -> str | None:
    """Return what `nobody_has_examples` says of the last batch of replies."""
    place = (exchanges[-1].round, exchanges[-1].phase) if exchanges else None
    last = [exchange for exchange in exchanges if (exchange.round, exchange.phase) == place]
    return nobody_has_examples([exchange.examples for exchange in last if exchange.error is None])


def _report(history: History, *, has_model: bool) -> None:
    """Print what is missing: answers, rounds, a model."""
    exchanges = history.exchanges
    if failed := sum(exchange.error is not None for exchange in exchanges):
        print(f"{failed} of {len(exchanges)} messages to clients failed; history.failures lists them.")
    training = [exchange for exchange in exchanges if exchange.phase == "train"]
    trained = {exchange.round for exchange in training if exchange.error is None}
    if idle := sorted({exchange.round for exchange in training} - trained):
        numbers = f"Round{'s' if len(idle) > 1 else ''} {', '.join(map(str, idle))}"
        print(f"{numbers}: no client returned a model, so it stays as it was.")
    if not has_model and any(exchange.bytes_up for exchange in training):
        print("No strategy returned a model; keep_result(Result(arrays=…), context) puts one into history.arrays.")


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

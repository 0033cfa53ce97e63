"""Where client tasks are done: one after the other here, or in parallel in forked processes.

A forked process starts in milliseconds, sees the data set, the model and the notebook's own
functions as they are, and shares their memory with this process until it writes to them. Models
stay warm in it from round to round.
"""

import contextlib
import gc
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np
import torch
from flwr.clientapp import ClientApp

from fedlearn_helpers.device import cores
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.interrupts import uninterrupted
from fedlearn_helpers.simulation.channel import Channel
from fedlearn_helpers.simulation.client_task import ClientResult, ClientTask, do_client_task
from fedlearn_helpers.simulation.output import captured
from fedlearn_helpers.simulation.processes import end_with, pause_openmp, processor_time

Workers = int | Literal["auto"]
_SECONDS_BETWEEN_LOOKS = 5.0
_PATIENCE = 300.0  # seconds; a client may sleep, or wait for the network
OnFinished = Callable[[ClientTask, ClientResult], None]


class Executor(Protocol):
    """Does client tasks; a context manager that cleans up after itself."""

    def run(self, tasks: Sequence[ClientTask], on_finished: OnFinished) -> Iterator[ClientResult]:
        """Yield one result per task, in the order of the tasks; tell `on_finished` as soon as each is there."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *details: object) -> None: ...


def make_executor(client_app: ClientApp, workers: Workers, num_clients: int) -> Executor:
    """Return what runs the clients.

    Args:
        client_app: the clients' code.
        workers: processes to spread clients over; "auto" is one per core this process may use,
            where processes can be forked and the work is not on a GPU, and 1 elsewhere.
        num_clients: more workers than clients are not started.

    Raises:
        InputError: workers below 1, or above 1 where processes cannot be forked.
    """
    obstacle = obstacle_to_forking()
    if isinstance(workers, str) and workers == "auto":
        workers = 1 if obstacle else cores()
    elif isinstance(workers, bool) or not isinstance(workers, int | np.integer) or workers < 1:
        raise InputError(f"workers must be 'auto' or a whole number >= 1, got {workers!r}")
    elif workers > 1 and obstacle:
        raise InputError(f"workers must be 1 or 'auto' here, because {obstacle}, got {workers}")
    count = min(int(workers), num_clients)
    return ForkedWorkers(client_app, count) if count > 1 else ThisProcess(client_app)


def obstacle_to_forking() -> str | None:
    """Return why processes cannot be forked here, or None where they can."""
    if sys.platform != "linux":
        return f"forked workers need Linux and this is {sys.platform}"
    if torch.cuda.is_initialized() or _autograd_has_threads():
        return (
            "PyTorch has computed beside a GPU in this process, and a process forked now could not: restart it, and "
            "begin with pick_device('cpu')"
        )
    return None


def _autograd_has_threads() -> bool:
    """Tell whether PyTorch has computed gradients on a machine with a GPU, be it on the processor.

    It then has a thread for the GPU, and refuses to compute gradients in forked processes.
    """
    for path in Path("/proc/self/task").glob("*/comm"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            if path.read_text().startswith("pt_autograd"):
                return True
    return False


@contextmanager
def short_collections() -> Iterator[None]:
    """Hide all that exists from the collector of cyclic garbage inside the block, and in processes forked there.

    Flower's q-FedAvg collects after every client, and to walk over all of PyTorch takes 0.1 s. In a worker it would
    also copy all memory that is shared.
    """
    outermost = gc.get_freeze_count() == 0
    if outermost:
        gc.freeze()
    try:
        yield
    finally:
        if outermost:
            gc.unfreeze()


class ThisProcess:
    """Does one task after the other in this process."""

    def __init__(self, client_app: ClientApp) -> None:
        self._client_app = client_app

    def run(self, tasks: Sequence[ClientTask], on_finished: OnFinished) -> Iterator[ClientResult]:
        """Yield one result per task, in the order of the tasks; tell `on_finished` as soon as each is there."""
        for task in tasks:
            result = do_client_task(self._client_app, task)
            on_finished(task, result)
            yield result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        pass


class WorkerError(RuntimeError):
    """A worker process is gone, or gives no answer; a notebook shows the sentence alone."""

    _render_traceback_ = InputError._render_traceback_


class ForkedWorkers:
    """Does tasks in parallel in processes forked from this one when the first task comes.

    The results are the same bits as those of `ThisProcess`. Whatever ends the run (its end, an
    exception, an interrupt, the death of this process) ends the workers. One that uses no processor time
    for five minutes while it has a task ends the run: nothing else tells one that waits for ever from one that is slow.
    """

    def __init__(self, client_app: ClientApp, count: int) -> None:
        self._client_app, self._count = client_app, count
        self._workers: dict[Channel, int] = {}  # process ids
        self._busy: dict[Channel, int] = {}  # which task each worker that has one is at
        self._quiet: dict[Channel, tuple[float, float]] = {}  # processor time at the last look, seconds without more

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._stop()

    def _stop(self) -> None:
        with uninterrupted():
            for channel in self._workers:
                channel.close()
            for pid in self._workers.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in self._workers.values():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)
            self._workers, self._busy, self._quiet = {}, {}, {}

    def run(self, tasks: Sequence[ClientTask], on_finished: OnFinished) -> Iterator[ClientResult]:
        """Yield one result per task, in the order of the tasks; tell `on_finished` as soon as each is there.

        Raises:
            WorkerError: a worker died, or hangs.
        """
        if self._busy:  # an earlier batch was given up; its answers must not be taken for those of this one
            self._stop()
        if not self._workers:
            _warm_up()
            pause_openmp()
            gc.freeze()  # what has come since the run began, too: see `short_collections`
            for _ in range(self._count):
                self._start_worker()
        waiting, finished = deque(range(len(tasks))), dict[int, tuple[ClientResult, str, str]]()
        for channel in self._workers:
            self._hand_out(channel, tasks, waiting)
        for position, task in enumerate(tasks):
            while position not in finished:
                for channel in self._wait(tasks):
                    done = self._busy[channel]
                    with _death_explained(tasks[done]):
                        finished[done] = channel.receive()
                    del self._busy[channel]
                    self._hand_out(channel, tasks, waiting)
                    on_finished(tasks[done], finished[done][0])
            result, printed, complained = finished.pop(position)
            print(printed, end="")
            print(complained, end="", file=sys.stderr)
            yield result if result.exception is None else self._repeat_here(task, result)

    def _wait(self, tasks: Sequence[ClientTask]) -> list[Any]:
        """Return the workers that have answered; while there are none, look at them now and then."""
        while not (ready := wait(list[Any](self._busy), _SECONDS_BETWEEN_LOOKS)):  # all that has a file number will do
            for channel, position in self._busy.items():
                used = processor_time(self._workers[channel])
                before, quiet = self._quiet.get(channel, (-1.0, 0.0))
                quiet = quiet + _SECONDS_BETWEEN_LOOKS if used == before else 0.0
                self._quiet[channel] = used, quiet
                if quiet >= _PATIENCE:
                    where = f"client {tasks[position].client} has used no processor time for {quiet:g} s in round"
                    raise WorkerError(
                        f"the worker process of {where} {tasks[position].round}, phase {tasks[position].phase!r}, and "
                        "seems to wait for ever: try workers=1, where an interrupt shows the line"
                    )
        return ready

    def _hand_out(self, channel: Channel, tasks: Sequence[ClientTask], waiting: deque[int]) -> None:
        self._quiet.pop(channel, None)
        if waiting:
            position = self._busy[channel] = waiting.popleft()
            with _death_explained(tasks[position]):
                channel.send(tasks[position])

    def _repeat_here(self, task: ClientTask, result: ClientResult) -> ClientResult:
        """Do the failed task again in this process: a traceback cannot travel between processes.

        With the same message, state and seed the client fails in the same way, and this time the
        traceback, and `%debug`, are real. Should it succeed, the worker's own exception stands.
        """
        with captured():  # its output was printed already
            again = do_client_task(self._client_app, task)
        return again if again.exception is not None else result

    def _start_worker(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        with uninterrupted():
            ours, theirs = Channel.pair()
            pid = os.fork()
            if pid == 0:
                try:
                    end_with(parent)
                    for other in [ours, *self._workers]:
                        other.close()
                    _serve(self._client_app, theirs)
                finally:
                    os._exit(0)  # no clean-up of what belongs to the parent: sockets, threads, displays
            self._workers[ours] = pid
            theirs.close()


def _warm_up() -> None:
    """Make a first optimizer: PyTorch then imports a second's worth of modules, here once, not in every worker.

    The collector of cyclic garbage would look again and again at all that is imported, and take a third of the time.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    finally:
        if collecting:
            gc.enable()


def _serve(client_app: ClientApp, channel: Channel) -> None:
    """Answer tasks until the other end closes."""
    torch.set_num_threads(1)
    with captured() as take_output:
        while True:
            try:
                task = channel.receive()
            except EOFError:
                return
            result = do_client_task(client_app, task)
            if (exception := result.exception) is not None:  # not every exception can be pickled; its words always can
                summary = RuntimeError(f"{type(exception).__name__}: {exception}")
                summary.__notes__ = exception.__notes__
                result = replace(result, exception=summary)
            channel.send((result, *take_output()))


@contextlib.contextmanager
def _death_explained(task: ClientTask) -> Iterator[None]:
    """Say which client's worker is gone when its channel is."""
    try:
        yield
    except (EOFError, OSError):
        raise WorkerError(
            f"the worker process of client {task.client} died in round {task.round}, phase {task.phase!r}; "
            "the machine may be out of memory: try fewer workers"
        ) from None

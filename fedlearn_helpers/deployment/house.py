"""What server and hospitals have in common: programs with a folder of their own, which end with who started them."""

import functools
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from fedlearn_helpers.deployment.commands import private_environment
from fedlearn_helpers.deployment.possible import why_not
from fedlearn_helpers.deployment.processes import OwnProcesses, free_port
from fedlearn_helpers.deployment.programs import Node, Program
from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.interrupts import uninterrupted

# Flower looks for work once a second by default; on one machine, looking more often costs nothing.
LOOKS_FOR_WORK = {"FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1"}
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # nodes share the cores

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Kind = TypeVar("_Kind", bound=Program)


def ends_at_interrupt(method: Callable[Concatenate[Any, _P], _T]) -> Callable[Concatenate[Any, _P], _T]:
    """Close the house when Ctrl-C, or the stop button of a notebook, interrupts a method."""

    @functools.wraps(method)
    def call(self: "House", *args: _P.args, **options: _P.kwargs) -> _T:
        try:
            return method(self, *args, **options)
        except KeyboardInterrupt:
            self.close()
            raise

    return call


class House:
    """Programs of one party on this machine; a context manager, at whose end nothing of them is left.

    They also end with this process, however that ends, and when an interrupt reaches one of its methods.

    Args:
        folder: new or empty; logs and Flower's own files go there.

    Raises:
        InputError: programs cannot be started on this machine (see `why_not`), or the folder has something in it.
    """

    def __init__(self, folder: Path) -> None:
        if reason := why_not():
            raise InputError(reason)
        self.folder = _new_folder(folder)
        self._programs: list[Program] = []
        self._asking = OwnProcesses(grace=1)
        self._close = weakref.finalize(self, _end, self._programs, self._asking, os.getpid())
        self._logs = self._folder("logs")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything; nothing can be started afterwards."""
        self._close()

    def _start(self, kind: type[_Kind], name: str, command: list[str], changes: dict[str, str]) -> _Kind:
        if not self._close.alive:
            raise InputError("a deployment must not have been closed to start something in it")
        count = sum(program.name == name for program in self._programs)
        log = self._logs / (f"{name}.log" if count == 0 else f"{name}-again-{count}.log")
        env = private_environment(self._folder(f"home-of-{name}")) | changes
        program = kind(name, command, log=log, env=env)
        self._programs.append(program)
        return program

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


def node_arguments(address: str, partition_id: int, num_partitions: int, retries: int | None) -> list[str]:
    """Return the arguments of a SuperNode that say which server it has, and which part of the data.

    Raises:
        InputError: a number out of range.
    """
    num_partitions = check_whole_number("num_partitions", num_partitions, 1)
    if check_whole_number("partition_id", partition_id, 0) >= num_partitions:
        raise InputError(f"partition_id must be <= {num_partitions - 1}, got {partition_id!r}")
    arguments = ["--superlink", address, "--port", str(free_port())]
    arguments += ["--node-config", f"partition-id={partition_id} num-partitions={num_partitions}"]
    if retries is not None:
        arguments += ["--max-retries", str(check_whole_number("retries", retries, 1))]
    return arguments


def check_seconds(timeout: float) -> None:
    """Check a time limit.

    Raises:
        InputError: not a finite number > 0.
    """
    check_number("timeout", timeout, "a finite number of seconds > 0", lambda value: value > 0)


def _end(programs: list[Program], asking: OwnProcesses, owner: int) -> None:
    """End the nodes, all at a time, and then the SuperLink; a fork of the process that started them ends nothing."""
    if os.getpid() != owner:
        return
    with uninterrupted():  # and without threads, which cannot be started any more when Python shuts down
        asking.stop()
        nodes = [program for program in programs if isinstance(program, Node)]
        for node in nodes:
            node.ask_to_end()  # all at once, then wait for each
        for program in (*nodes, *programs):
            program.stop()


def _new_folder(folder: Path) -> Path:
    folder = Path(folder).resolve()
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"folder must be new or empty, got {str(folder)!r}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder

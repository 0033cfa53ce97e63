"""Processes that end for sure, with all the daemons that they started in turn."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Self
from uuid import uuid4

import psutil

_MARK = "FEDLEARN_PROCESSES"
_GRACE = 10.0
_ANSI_COLOR = re.compile(r"\x1b\[[0-9;]*m")

# When this process is killed it cannot stop anything. So another one watches it, and ends what is marked as its own.
_WATCHER = """
import os, sys, time
import psutil

parent, variable, prefix = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def is_marked(process):
    try:
        return process.environ().get(variable, "").startswith(prefix)
    except (psutil.Error, OSError):
        return False


while os.getppid() == parent:
    time.sleep(0.2)
looks_without_finding = 0
while looks_without_finding < 3:
    everyone = list(psutil.process_iter(["ppid"]))
    found = {process for process in everyone if is_marked(process)}
    while more := {p for p in everyone if p not in found and p.info["ppid"] in {f.pid for f in found}}:
        found |= more
    for process in found:
        try:
            process.kill()
        except psutil.Error:
            pass
    looks_without_finding = 0 if found else looks_without_finding + 1
    time.sleep(0.2)
"""


class _Watcher:
    """The process that watches this one, while this one has others that must not outlive it."""

    def __init__(self) -> None:
        self._lock, self._pid = Lock(), 0
        self._needed_by: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._prefix = ""

    def new_mark(self) -> str:
        """Return a mark for processes that end with this one."""
        with self._lock:
            if self._pid != os.getpid():  # the first one here, or after a fork
                self._pid, self._process, self._prefix = os.getpid(), None, uuid4().hex
                self._needed_by = set()
            return f"{self._prefix}-{uuid4().hex}"

    def watch(self, mark: str) -> None:
        """Start to watch over the processes with a mark."""
        with self._lock:
            self._needed_by.add(mark)
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", _WATCHER, str(os.getpid()), _MARK, self._prefix],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )

    def forget(self, mark: str) -> None:
        """Watch no more over the processes with a mark: they have ended."""
        with self._lock:
            self._needed_by.discard(mark)
            if self._process is not None and not self._needed_by and self._pid == os.getpid():
                self._process.kill()
                self._process.wait()
                self._process = None


_watcher = _Watcher()


class OwnProcesses:
    """A context manager: what is started through it, and whatever that starts, ends with it.

    A daemon leaves its parent, but keeps the environment it was started with: a mark in there tells whose it is.
    Ray's workers overwrite theirs, but they stay children of one that does not.

    Args:
        grace: seconds between asking processes to end and killing them; ten by default.
    """

    def __init__(self, grace: float | None = None) -> None:
        self._grace = _GRACE if grace is None else grace
        self._mark = _watcher.new_mark()
        self._started: list[subprocess.Popen[bytes]] = []
        self._seen: set[psutil.Process] = set()
        self._stopped, self._lock = False, Lock()  # one thread may stop what another one starts

    def start(self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen:
        """Start a command, in a session of its own, so that Ctrl-C reaches only this process, which then stops it.

        Args:
            command: program and arguments; programs of this Python's environment come before those on the PATH.
            log: the file for what it writes. A pipe would be held open by the daemons.
            env: its environment; this process's by default.

        Raises:
            InterruptedError: `stop` was called.
        """
        env = {**(os.environ if env is None else env), _MARK: self._mark}
        env["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), env.get("PATH", os.defpath)])
        with self._lock, log.open("wb") as output:
            if self._stopped:
                raise InterruptedError("the processes were stopped")
            _watcher.watch(self._mark)
            process = subprocess.Popen(
                list(command),
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._started.append(process)
        return process

    def stop(self) -> None:
        """Ask all to end, kill those that do not, and wait until none is left; nothing can be started afterwards."""
        with self._lock:
            self._stopped = True
        self._alive()  # find them all, before the first ends and its children are nobody's
        for process in reversed(self._started):
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + self._grace
        while self._alive() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.kill()

    def kill(self) -> None:
        """End all at once, as a power cut would, and wait until none is left; nothing can be started afterwards."""
        with self._lock:
            self._stopped = True
        alive = self._alive()
        deadline = time.monotonic() + _GRACE
        while alive and time.monotonic() < deadline:
            for process in alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._wait_for_started()  # before psutil does, or their exit codes would be lost
            psutil.wait_procs(alive, timeout=1)
            alive = self._alive()  # some may have started others before they were killed
        self._wait_for_started()
        _watcher.forget(self._mark)

    def _wait_for_started(self) -> None:
        for process in self._started:
            process.wait()

    def _alive(self) -> list[psutil.Process]:
        """Return all processes that belong to this object, and run."""
        everyone = list(psutil.process_iter(["ppid"]))
        found = {process for process in everyone if self._is_marked(process)}
        while more := {p for p in everyone if p not in found and p.info["ppid"] in {f.pid for f in found}}:
            found |= more
        seen = self._seen = self._seen | found  # a new set: two threads may stop at once
        for process in self._started:
            process.poll()  # or it would stay, as a zombie
        return [process for process in seen if _runs(process)]

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(_MARK) == self._mark
        except (psutil.Error, OSError):  # not ours to look at, or gone by now
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.stop()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def last_lines(log: Path, count: int = 15) -> str:
    """Return the name of a log, and its last lines that are not empty, without colours."""
    lines = without_colours(log.read_text(errors="replace")).splitlines()
    return "\n".join([f"The last lines of {log.name}:", *[line for line in lines if line.strip()][-count:]])


def without_colours(text: str) -> str:
    """Return a text without the codes by which terminals show colours."""
    return _ANSI_COLOR.sub("", text)

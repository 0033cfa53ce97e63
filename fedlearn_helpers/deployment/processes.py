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

# When this process is killed it cannot stop anything. But the daemons of Flower and Ray end when the process above
# them does, so it is enough that the topmost ones are told to end with this process.
_END_WITH_PARENT = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG, SIGTERM
os.execvp(sys.argv[1], sys.argv[1:])
"""


class OwnProcesses:
    """A context manager: what is started through it, and whatever that starts, ends with it.

    A daemon leaves its parent, but keeps the environment it was started with: a mark in there tells whose it is.
    Ray's workers overwrite theirs, but they stay children of one that does not.

    Args:
        grace: seconds between asking processes to end and killing them; ten by default.
    """

    def __init__(self, grace: float | None = None) -> None:
        self._grace = _GRACE if grace is None else grace
        self._mark = uuid4().hex
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
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", _END_WITH_PARENT, *command],
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

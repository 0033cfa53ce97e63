"""A program of the federation: its processes, its log, and how it ends."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from fedlearn_helpers.deployment.commands import failure
from fedlearn_helpers.deployment.processes import OwnProcesses, last_lines, without_colours

_GRACE = 5.0  # seconds
_ESTABLISHED = psutil.CONN_ESTABLISHED
_EXIT_CODE = re.compile(r"Exit Code: (\d+)")
# What a SuperNode writes when it is turned away, the plainest last. Its very last line is a friendly farewell.
_REASONS = (r"\[code: \d+\]", r"CERTIFICATE_VERIFY_FAILED", r"could not establish a connection")


@dataclass(frozen=True)
class Refusal:
    """How a node ended that the server does not want, or that does not want the server.

    Attributes:
        exit_code: Flower's number for the reason, 305 for a connection that could not be made; the process itself
            ends with 1.
        reason: the line of its log that says why.
    """

    exit_code: int
    reason: str


class Program:
    """A program with processes of its own, which end with it.

    Args:
        name: of the program, such as "node-0".
        command: program and arguments.
        log: the file for what it writes.
        env: its environment.
    """

    def __init__(self, name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str]) -> None:
        self.name, self.log = name, log
        self._processes = OwnProcesses(grace=_GRACE)
        self._process: subprocess.Popen[bytes] = self._processes.start(command, log=log, env=env)

    def __repr__(self) -> str:
        state = "runs" if self.exit_code is None else f"ended with {self.exit_code}"
        return f"<{self.name}: {state}, log {self.log.name}>"

    @property
    def exit_code(self) -> int | None:
        """What it ended with; minus the number of the signal that ended it; None while it runs."""
        return self._process.poll()

    def log_tail(self, count: int = 15) -> str:
        """Return the last lines of its log, without colours."""
        return last_lines(self.log, count)

    def ask_to_end(self) -> None:
        """Ask it to end, and do not wait."""
        if self.exit_code is None:
            self._process.terminate()

    def stop(self) -> None:
        """Ask it to end, and wait until it and all that it started have ended."""
        self._processes.stop()

    def kill(self) -> None:
        """End it and all that it started at once, as a power cut would."""
        self._processes.kill()


class Node(Program):
    """A SuperNode, with the processes in which it trains."""

    def is_connected(self, port: int) -> bool:
        """Return whether it runs and holds a connection to this port, which is more than the SuperLink can tell.

        A SuperLink that was started again lists nodes as online from its database, until they are overdue.
        """
        try:
            connections = psutil.Process(self._process.pid).net_connections(kind="tcp")
        except psutil.Error:
            return False
        return any(one.raddr and one.raddr.port == port and one.status == _ESTABLISHED for one in connections)

    def refusal(self, timeout: float = 60) -> Refusal:
        """Wait until the node has given up, and return why.

        Args:
            timeout: seconds to wait, > 0.

        Raises:
            RuntimeError: it still runs then, or it ended without a reason; the message ends with its log.
        """
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise failure(f"{self.name} has not been refused within {timeout:g} seconds", self.log) from None
        text = without_colours(self.log.read_text(errors="replace"))
        number = _EXIT_CODE.search(text)
        for reason in _REASONS:
            if number and (line := re.search(rf"^.*{reason}.*$", text, re.MULTILINE)):
                return Refusal(int(number[1]), line[0].strip())
        raise failure(f"{self.name} ended with {code} and gave no reason", self.log)

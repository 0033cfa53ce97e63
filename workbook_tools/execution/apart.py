"""Notebooks executed in processes of their own, several at a time if one likes, all of which end with this one."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from fedlearn_helpers.deployment.processes import OwnProcesses
from workbook_tools.execution.kernels import folder_for_sockets
from workbook_tools.execution.notebooks import unfinished_of


class Apart:
    """A context manager; what it executes ends with it."""

    def __init__(self) -> None:
        self._processes, self._sockets = OwnProcesses(), folder_for_sockets()
        self.stopped = False

    def __enter__(self) -> Self:
        self._environment = os.environ | self._sockets.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self.stop()
        self._sockets.__exit__(None, None, None)

    def stop(self) -> None:
        """End what runs, and start nothing more."""
        self.stopped = True
        self._processes.stop()

    def execute(self, path: Path, executed: Path, values: Mapping[str, Any], log: Path) -> str | None:
        """Execute a notebook; return None, or one line that says what went wrong.

        Args:
            path: the notebook.
            executed: the file to write it to as it ran, also when it failed.
            values: parameters by name.
            log: the file for what the process prints.

        Raises:
            InterruptedError: `stop` was called.
        """
        command = [sys.executable, "-m", "workbook_tools.execution.notebooks"]
        command += [str(path), str(executed), json.dumps(dict(values))]
        process = self._processes.start(command, log=log, env=self._environment)
        code = process.wait()
        if self.stopped:
            unfinished_of(executed).unlink(missing_ok=True)
            raise InterruptedError("the processes were stopped")
        if code == 0:
            return None
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else f"its process ended with exit code {code}"

"""Running the programs of Flower: private, offline, with a time limit, and with what they say in a log."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedlearn_helpers.deployment.processes import OwnProcesses, last_lines
from fedlearn_helpers.errors import InputError

RunConfig = Mapping[str, str | int | float | bool]

_COLOURS = ("FORCE_COLOR", "CLICOLOR_FORCE")  # set by Jupyter; colours spoil JSON


def private_environment(home: Path) -> dict[str, str]:
    """Return this process's environment, changed so that Flower keeps to a folder and to this machine.

    Args:
        home: the folder that Flower takes for its own.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _COLOURS}
    direct = filter(None, [environment.get("no_proxy") or environment.get("NO_PROXY"), "127.0.0.1"])
    return environment | {
        "FLWR_HOME": str(home),
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",  # or Flower makes a virtual environment per run
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_TELEMETRY_ENABLED": "0",
        "NO_COLOR": "1",
        "no_proxy": ",".join(direct),
    }


class Commands:
    """Runs commands with one folder for their logs and one environment.

    Args:
        processes: what the commands belong to, and end with.
        folder: for logs, which are named after the first two words of a command.
        env: the environment; by default a private one whose home is the folder.
    """

    def __init__(self, processes: OwnProcesses, folder: Path, env: dict[str, str] | None = None) -> None:
        self._processes, self.folder = processes, folder
        self.env = private_environment(folder) if env is None else env

    def start(self, *command: str, log: str | None = None) -> tuple[subprocess.Popen, Path]:
        """Start a command; return it and its log."""
        path = self.folder / f"{log or '_'.join(command[:2])}.log"
        return self._processes.start(command, log=path, env=self.env), path

    def finish(self, *command: str, seconds: float, log: str | None = None) -> Path:
        """Run a command to its end and return its log.

        Raises:
            RuntimeError: it failed, or did not end in time; the message ends with the last lines of its log.
        """
        process, path = self.start(*command, log=log)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise failure("the time is up", path) from None
        if code != 0:
            raise failure(f"{' '.join(command[:2])} exited with {code}", path)
        return path

    def ask(self, *command: str, seconds: float) -> dict[str, Any]:
        """Run a command that answers in JSON, and return the answer.

        Raises:
            RuntimeError: it failed, did not end in time, or wrote something else.
        """
        log = self.finish(*command, "--format", "json", seconds=seconds)
        text = log.read_text(errors="replace")
        try:
            answer, _ = json.JSONDecoder().raw_decode(text, text.index("{"))  # a warning may stand before it
        except ValueError:
            raise failure(f"{' '.join(command[:2])} did not answer in JSON", log) from None
        return answer


def failure(sentence: str, log: Path) -> RuntimeError:
    """Return an error that ends with the last lines of a log."""
    return RuntimeError(f"{sentence}\n{last_lines(log)}")


def checked_app(app: Path, run_config: RunConfig) -> Path:
    """Return the absolute folder of an app that can be started with these overrides of its run-config.

    Raises:
        InputError: it is no app, or the overrides have what is set here.
    """
    app = Path(app).absolute()
    if not (app / "pyproject.toml").is_file():
        raise InputError(f"app must be a folder with a pyproject.toml, got {str(app)!r}")
    if "results-path" in run_config:
        raise InputError(f"run_config must not have results-path, got {run_config['results-path']!r}")
    return app


def write_toml(path: Path, values: RunConfig) -> None:
    """Write texts, numbers and truth values by key."""
    path.write_text("\n".join(f"{key} = {toml(value)}" for key, value in values.items()))


def toml(value: str | int | float | bool) -> str:
    """Return a text, number or truth value as TOML writes it, which is as JSON does."""
    return json.dumps(value, ensure_ascii=False)

"""Runs the contestants, each in fresh processes, with everything they write in one folder."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contest.entry import Entry
from contest.marks import read_progress
from contest.measure import Measurement, measure

HERE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Contestant:
    """One way to run the experiment.

    Attributes:
        name: for the table.
        module: what to run.
        options: its further arguments.
        python: in which environment.
    """

    name: str
    module: str
    options: tuple[str, ...] = ()
    python: Path = Path(sys.executable)


class Arena:
    """Runs contestants one after the other.

    Args:
        folder: for all that is written meanwhile; `folder/data` has the data set.
        rounds, clients: size of the experiment.
        timeout: seconds for each run.
    """

    def __init__(self, folder: Path, *, rounds: int, clients: int, timeout: float) -> None:
        self._folder, self._rounds, self._clients, self._timeout = folder, rounds, clients, timeout
        self._environment = make_environment(folder)
        self._preparations: dict[str, Measurement] = {}
        self._runs = 0

    def run(self, contestant: Contestant) -> Entry:
        """Let the contestant convert the data if it has not yet, then run and measure it."""
        self._runs += 1
        marks = self._folder / f"{self._runs}.marks"
        if not contestant.python.exists():
            return Entry(contestant.name, None, None, read_progress(marks), "not run: its environment is missing")
        preparation = self._prepare(contestant)
        if preparation.failure:
            return Entry(contestant.name, None, None, read_progress(marks), preparation.failure)
        arguments = ["--rounds", str(self._rounds), "--marks", str(marks), *contestant.options]
        run = self._measure(contestant, arguments, marks)
        progress = read_progress(marks)
        failure = run.failure
        if failure is None and progress.rounds < self._rounds:
            failure = f"it ended after {progress.rounds} of {self._rounds} rounds"
        return Entry(contestant.name, preparation.seconds, run, progress, failure)

    def _prepare(self, contestant: Contestant) -> Measurement:
        if contestant.module not in self._preparations:
            arguments = ["--prepare", "--marks", os.devnull]
            self._preparations[contestant.module] = self._measure(contestant, arguments, None)
        return self._preparations[contestant.module]

    def _measure(self, contestant: Contestant, arguments: list[str], marks: Path | None) -> Measurement:
        command = [str(contestant.python), "-m", contestant.module, "--clients", str(self._clients), *arguments]
        return measure_with_status(
            command,
            self._environment,
            self._folder / "log.txt",
            self._timeout,
            contestant.name,
            lambda: f"round {read_progress(marks).rounds}/{self._rounds}" if marks else "preparing data",
        )


def measure_with_status(
    command: list[str], environment: dict[str, str], log: Path, timeout: float, name: str, state: Callable[[], str]
) -> Measurement:
    """Measure a command, with a line on the terminal that says how far it is; show its output if it fails."""
    terminal = sys.stderr.isatty()

    def show(seconds: float) -> None:
        if terminal:
            print(f"\r\x1b[K{name}: {state()}, {seconds:.0f} s", end="", file=sys.stderr, flush=True)

    run = measure(command, environment=environment, log=log, timeout=timeout, on_sample=show)
    if terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    if run.failure:
        print(f"{name} failed: {run.failure}\n{log.read_text(errors='replace')[-6000:]}", file=sys.stderr)
    return run


def make_environment(folder: Path) -> dict[str, str]:
    """Return the variables of all contestants: caches inside `folder`, no network, no telemetry, no GPU."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "HF_", "FLWR_"))}
    return inherited | {
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
        "CUDA_VISIBLE_DEVICES": "",
        "FEDLEARN_DATA": str(folder / "data"),
        "FEDLEARN_CACHE": str(folder / "fedlearn"),
        "HF_HOME": str(folder / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "FLWR_HOME": str(folder / "flwr"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "RAY_TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
    }

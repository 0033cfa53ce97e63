"""Time one CIFAR-10 federation with `simulate`, and written and run as in Flower's PyTorch quickstart.

    FEDLEARN_DATA=folder python benchmarks/speed.py [--rounds 10] [--clients 10] [--examples 50000]

`benchmarks/README.md` says what is measured and how to read it.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contest.data import ALL_EXAMPLES, NoData, provide_data
from contest.marks import read_progress
from contest.measure import Measurement, measure
from contest.report import Entry, csv_text, machine_facts, markdown, table, write_atomically

HERE = Path(__file__).resolve().parent
OURS, PEER = "contest.ours", "contest.flower_peer"
_SMALLEST_CLIENT = 10  # images; a fifth of them is for validation


@dataclass(frozen=True)
class Contestant:
    """One way to run the experiment.

    Attributes:
        name: for the table.
        module: what to run.
        options: its further arguments.
    """

    name: str
    module: str
    options: tuple[str, ...] = ()


CONTESTANTS = (
    Contestant("simulate, workers=1", OURS, ("--workers", "1")),
    Contestant('simulate, workers="auto"', OURS, ("--workers", "auto")),
    Contestant("Flower quickstart", PEER),
)


class Arena:
    """Runs contestants one after the other, each in fresh processes, with everything they write in one folder."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self._folder, self._arguments = folder, arguments
        self._environment = _environment(folder)
        self._preparations: dict[str, Measurement] = {}

    def run(self, contestant: Contestant) -> Entry:
        """Let the contestant convert the data if it has not yet, then run and measure it."""
        marks = self._folder / f"{CONTESTANTS.index(contestant)}.marks"
        preparation = self._prepare(contestant)
        if preparation.failure:
            return Entry(contestant.name, None, None, read_progress(marks), preparation.failure)
        arguments = ["--rounds", str(self._arguments.rounds), "--marks", str(marks), *contestant.options]
        run = self._measure(contestant, arguments, marks)
        progress = read_progress(marks)
        failure = run.failure
        if failure is None and progress.rounds < self._arguments.rounds:
            failure = f"it ended after {progress.rounds} of {self._arguments.rounds} rounds"
        return Entry(contestant.name, preparation.seconds, run, progress, failure)

    def _prepare(self, contestant: Contestant) -> Measurement:
        if contestant.module not in self._preparations:
            arguments = ["--prepare", "--marks", os.devnull]
            self._preparations[contestant.module] = self._measure(contestant, arguments, None)
        return self._preparations[contestant.module]

    def _measure(self, contestant: Contestant, arguments: list[str], marks: Path | None) -> Measurement:
        command = [sys.executable, "-m", contestant.module, "--clients", str(self._arguments.clients), *arguments]
        log = self._folder / "log.txt"
        status = _Status(contestant.name, marks, self._arguments.rounds)
        run = measure(
            command, environment=self._environment, log=log, timeout=self._arguments.timeout, on_sample=status
        )
        status.clear()
        if run.failure:
            print(
                f"{contestant.name} failed: {run.failure}\n{log.read_text(errors='replace')[-6000:]}", file=sys.stderr
            )
        return run


class _Status:
    """One line on a terminal that says who runs and how far it is."""

    def __init__(self, name: str, marks: Path | None, rounds: int) -> None:
        self._name, self._marks, self._rounds = name, marks, rounds

    def __call__(self, seconds: float) -> None:
        if sys.stderr.isatty():
            done = f"round {read_progress(self._marks).rounds}/{self._rounds}" if self._marks else "preparing data"
            print(f"\r\x1b[K{self._name}: {done}, {seconds:.0f} s", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _environment(folder: Path) -> dict[str, str]:
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


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; an impossible value ends the program with one sentence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="rounds of the federation (default: 10)")
    parser.add_argument("--clients", type=int, default=10, help="clients, all of which take part (default: 10)")
    parser.add_argument(
        "--examples", type=int, default=ALL_EXAMPLES, help="training images of all clients together (default: all)"
    )
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for each contestant (default: 3600)")
    parser.add_argument("--output", type=Path, default=HERE / "results", help="folder for speed.csv and speed.md")
    parsed = parser.parse_args(arguments)
    for name in ("rounds", "clients"):
        if getattr(parsed, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(parsed, name)}")
    if parsed.examples < _SMALLEST_CLIENT * parsed.clients:
        parser.error(f"--examples must be at least {_SMALLEST_CLIENT} a client, got {parsed.examples}")
    return parsed


def compare(arguments: argparse.Namespace) -> list[Entry]:
    """Run all contestants and return their results, in their order."""
    with tempfile.TemporaryDirectory(prefix="speed-", ignore_cleanup_errors=True) as folder:
        provide_data(Path(folder) / "data", arguments.examples)
        arena = Arena(Path(folder), arguments)
        entries = []
        for contestant in CONTESTANTS:
            entries.append(arena.run(contestant))
            print(_summary(entries[-1]), flush=True)
        return entries


def _summary(entry: Entry) -> str:
    if entry.failure:
        return f"{entry.name}: failed, {entry.failure}"
    return f"{entry.name}: {entry.seconds:.1f} s, test accuracy {entry.progress.test_accuracy:.4f}"


def _stop(signal_number: int, frame: object) -> None:
    """End as on Ctrl-C, so that the contestants' processes are ended first."""
    raise KeyboardInterrupt


def main() -> int:
    """Run the benchmark; return 0 if every contestant finished."""
    arguments = read_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    facts = {
        "command": " ".join(["python", "benchmarks/speed.py", *sys.argv[1:]]),
        "rounds": str(arguments.rounds),
        "clients": str(arguments.clients),
        "training images": str(arguments.examples),
    } | machine_facts()
    try:
        entries = compare(arguments)
    except NoData as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was written", file=sys.stderr)
        return 130
    peer = entries[-1]
    print("\n" + table(entries, peer))
    write_atomically(arguments.output / "speed.csv", csv_text(entries, peer, facts))
    write_atomically(arguments.output / "speed.md", markdown(entries, peer, facts))
    print(f"Written to {arguments.output}.")
    return 1 if any(entry.failure for entry in entries) else 0


if __name__ == "__main__":
    sys.exit(main())

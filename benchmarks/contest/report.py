"""The table of one run: on the terminal, as Markdown and as CSV."""

import csv
import io
import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from contest.marks import Progress
from contest.measure import Measurement

_PACKAGES = (
    "fedlearn-helpers",
    "flwr",
    "ray",
    "flwr-datasets",
    "datasets",
    "torch",
    "torchvision",
    "numpy",
    "pillow",
)
_MISSING = "–"


@dataclass(frozen=True)
class Entry:
    """One contestant's result.

    Attributes:
        name: for the table.
        preparation: seconds of its one-off conversion of the data, which is not part of `run`.
        run: wall time and memory; None if it was not run.
        progress: how far it came.
        failure: None, or why it did not finish.
    """

    name: str
    preparation: float | None
    run: Measurement | None
    progress: Progress
    failure: str | None

    @property
    def seconds(self) -> float | None:
        """Wall time; None unless it finished."""
        return self.run.seconds if self.run and not self.failure else None

    @property
    def seconds_per_round(self) -> float | None:
        """Median wall time of rounds 2, 3, …"""
        return self.progress.seconds_per_round

    @property
    def start_up(self) -> float | None:
        """Seconds from the start of the process to the end of round 1, beyond what a round takes."""
        if self.run is None or self.seconds_per_round is None:
            return None
        return self.progress.round_ends[1] - self.run.begin - self.seconds_per_round

    @property
    def shut_down(self) -> float | None:
        """Seconds from the end of the last round to the end of the process."""
        return self.run.end - self.progress.round_ends[-1] if self.seconds is not None else None

    @property
    def training(self) -> float | None:
        """The rest of the wall time: the rounds."""
        if self.seconds is None or self.start_up is None or self.shut_down is None:
            return None
        return self.seconds - self.start_up - self.shut_down


@dataclass(frozen=True)
class Column:
    """One column: its heading in the table, its name in the CSV file, and its decimals."""

    heading: str
    name: str
    decimals: int
    suffix: str = ""


COLUMNS = (
    Column("seconds", "seconds", 1),
    Column("peer ÷ this", "peer_over_this", 2, "×"),
    Column("start-up s", "start_up_seconds", 1),
    Column("rounds s", "rounds_seconds", 1),
    Column("shut-down s", "shut_down_seconds", 1),
    Column("s a round", "seconds_per_round", 2),
    Column("peer ÷ this, a round", "peer_over_this_per_round", 2, "×"),
    Column("peak memory MB", "peak_pss_mb", 0),
    Column("main process MB", "main_peak_rss_mb", 0),
    Column("processes", "processes", 0),
    Column("test accuracy", "test_accuracy", 4),
    Column("validation accuracy", "validation_accuracy", 4),
    Column("data preparation s", "preparation_seconds", 1),
    Column("measuring, % of a core", "measuring_percent_of_a_core", 1),
)


def values_of(entry: Entry, peer: Entry) -> dict[str, float | None]:
    """Return the numbers of one row, by the columns' names."""
    return {
        "seconds": entry.seconds,
        "peer_over_this": _ratio(peer.seconds, entry.seconds),
        "start_up_seconds": entry.start_up,
        "rounds_seconds": entry.training,
        "shut_down_seconds": entry.shut_down,
        "seconds_per_round": entry.seconds_per_round,
        "peer_over_this_per_round": _ratio(peer.seconds_per_round, entry.seconds_per_round),
        "peak_pss_mb": entry.run.peak_pss_mb if entry.run else None,
        "main_peak_rss_mb": entry.run.main_peak_rss_mb if entry.run else None,
        "processes": entry.run.peak_processes if entry.run else None,
        "test_accuracy": entry.progress.test_accuracy,
        "validation_accuracy": entry.progress.validation_accuracy,
        "preparation_seconds": entry.preparation,
        "measuring_percent_of_a_core": 100 * entry.run.sampling_share if entry.run else None,
    }


def table(entries: Sequence[Entry], peer: Entry) -> str:
    """Return the results as a Markdown table, which is readable on a terminal too: one column per contestant."""
    head = ["", *(entry.name for entry in entries)]
    numbers = [values_of(entry, peer) for entry in entries]
    rows = [[column.heading, *(_text(row[column.name], column) for row in numbers)] for column in COLUMNS]
    rows.append(["ended", *("well" if entry.failure is None else "**failed**" for entry in entries)])
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [_line(head, widths), _line(rule, widths), *(_line(row, widths) for row in rows)]
    return "\n".join(lines) + "\n"


def markdown(entries: Sequence[Entry], peer: Entry, facts: dict[str, str]) -> str:
    """Return the text of `speed.md`."""
    failures = [f"- {entry.name} failed: {entry.failure}\n" for entry in entries if entry.failure]
    listed = "".join(f"- {name}: {value}\n" for name, value in facts.items())
    return (
        "# Speed of a federation\n\nWritten by `benchmarks/speed.py`; `benchmarks/README.md` explains every row. "
        "Compare only numbers of one run with each other.\n\n"
        + "\n".join(filter(None, [table(entries, peer), "".join(failures), listed]))
    )


def csv_text(entries: Sequence[Entry], peer: Entry, facts: dict[str, str]) -> str:
    """Return the text of `speed.csv`: one row per contestant, unrounded enough to compute with."""
    file = io.StringIO()
    names = ["contestant", *(column.name for column in COLUMNS), "failure", *(name.replace(" ", "_") for name in facts)]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    for entry in entries:
        numbers = values_of(entry, peer)
        cells = ["" if (value := numbers[column.name]) is None else f"{value:.6g}" for column in COLUMNS]
        writer.writerow([entry.name, *cells, entry.failure or "", *facts.values()])
    return file.getvalue()


def machine_facts() -> dict[str, str]:
    """Return what the numbers depend on besides the code."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
        "cores": str(len(os.sched_getaffinity(0))),
        "CPU": _cpu_model(),
        "memory": f"{memory:.0f} GB",
        "load before the run": f"{os.getloadavg()[0]:.2f}",
        "versions": ", ".join([f"Python {platform.python_version()}", *map(_version, _PACKAGES)]),
    }


def write_atomically(path: Path, text: str) -> None:
    """Write the file completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def _ratio(of_peer: float | None, of_entry: float | None) -> float | None:
    return of_peer / of_entry if of_peer and of_entry else None


def _text(value: float | None, column: Column) -> str:
    return _MISSING if value is None else f"{value:,.{column.decimals}f}{column.suffix}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cells[0].ljust(widths[0]),
        *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
    ]
    return "| " + " | ".join(padded) + " |"


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")

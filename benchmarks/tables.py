"""The results of one run as tables: on the terminal, in Markdown, and as one CSV file."""

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

_PACKAGES = ("fedlearn-helpers", "flwr", "ray", "flwr-datasets", "datasets", "torch", "torchvision", "numpy", "pillow")
_MISSING = "–"

Value = str | float | int | None


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        heading: with the unit.
        decimals: of its numbers.
        suffix: what follows each number.
    """

    heading: str
    decimals: int = 0
    suffix: str = ""

    def text(self, value: Value) -> str:
        """Return the value as it is shown."""
        if value is None:
            return _MISSING
        return value if isinstance(value, str) else f"{value:,.{self.decimals}f}{self.suffix}"


@dataclass(frozen=True)
class Table:
    """One table; the first cell of each row is its name.

    Attributes:
        title, note: above the table.
        columns: one per cell.
        rows: names and numbers; None is shown as missing.
    """

    title: str
    note: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Value]]

    def cell(self, row: str, column: str) -> Value:
        """Return one number, or None if there is no such row, because that part of the benchmark did not run."""
        position = [entry.heading for entry in self.columns].index(column)
        return next((cells[position] for cells in self.rows if cells[0] == row), None)


def markdown(table: Table) -> str:
    """Return a Markdown table, which is readable on a terminal too."""
    lines = [[column.heading for column in table.columns]]
    lines += [[column.text(cell) for column, cell in zip(table.columns, row, strict=True)] for row in table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "".join(_line(line, widths) for line in [lines[0], rule, *lines[1:]])


def document(tables: Sequence[Table], facts: dict[str, str]) -> str:
    """Return the text of the report."""
    sections = [f"## {table.title}\n\n{table.note}\n\n{markdown(table)}" for table in tables]
    listed = "".join(f"- {name}: {value}\n" for name, value in facts.items())
    head = (
        "# Speed and memory\n\nWritten by `benchmarks/run.py`; `benchmarks/README.md` says how each number was "
        "measured. Compare only numbers of one run with each other.\n\n![The most important numbers](benchmarks.png)\n"
    )
    return "\n".join([head, *sections, "## The run\n", listed])


def csv_text(tables: Sequence[Table], facts: dict[str, str]) -> str:
    """Return all numbers in one table: section, row, column, value."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["section", "row", "column", "value"])
    for table in tables:
        for row in table.rows:
            for column, cell in zip(table.columns[1:], row[1:], strict=True):
                value = "" if cell is None else cell if isinstance(cell, str) else f"{cell:.6g}"
                writer.writerow([table.title, row[0], column.heading, value])
    writer.writerows(["The run", name, "", value] for name, value in facts.items())
    return file.getvalue()


def machine_facts() -> dict[str, str]:
    """Return what the numbers depend on besides the code."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
        "cores": str(len(os.sched_getaffinity(0))),
        "CPU": cpu_model(),
        "memory": f"{memory:.0f} GB",
        "load before the run": f"{os.getloadavg()[0]:.2f}",
        "versions": ", ".join([f"Python {platform.python_version()}", *map(_version, _PACKAGES)]),
    }


def write_atomically(path: Path, content: bytes) -> None:
    """Write the file completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        file.write(content)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0])]
    padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join(padded) + " |\n"


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")

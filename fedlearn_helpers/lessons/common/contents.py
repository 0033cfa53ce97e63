"""The workbook's contents: titles, what each notebook teaches, and how long its cells took when last measured."""

import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from fedlearn_helpers.files import write_whole

_FILE = Path(__file__).with_name("contents.json")
_VERSIONED = ("torch", "torchvision", "flwr", "numpy", "pandas", "matplotlib")


@dataclass(frozen=True)
class Entry:
    """One notebook.

    Attributes:
        name: its file name without the ending.
        title: its title.
        teaches: what a reader learns, in one line.
        seconds: how long its cells ran on two cores with default parameters.
    """

    name: str
    title: str
    teaches: str
    seconds: float

    @property
    def minutes(self) -> int:
        """Running time in minutes, rounded up."""
        return max(1, -(-int(self.seconds) // 60))


def entries() -> list[Entry]:
    """Return the notebooks in reading order."""
    return [Entry(**entry) for entry in json.loads(_FILE.read_text())]


def save_seconds(measured: dict[str, float]) -> None:
    """Store measured running times by notebook name; the map in notebook 00 shows them."""
    updated = [asdict(entry) | {"seconds": round(measured.get(entry.name, entry.seconds), 1)} for entry in entries()]
    write_whole(_FILE, json.dumps(updated, indent=2, ensure_ascii=False) + "\n")


def as_markdown(current: str = "") -> str:
    """Return the map of the workbook as a Markdown table, with links where the notebooks are at hand.

    Args:
        current: the notebook that the reader is in.
    """
    rows = ["| notebook | you learn | cells run in |", "|---|---|---|"]
    for entry in entries():
        label = f"{entry.name[:2]} {entry.title}"
        link = f"**{label}** (you are here)" if entry.name == current else _link(label, f"{entry.name}.ipynb")
        rows.append(f"| {link} | {entry.teaches} | {entry.seconds:.0f} s |")
    return "\n".join(rows)


def _link(label: str, notebook: str) -> str:
    """Return a link, or its text where a notebook is alone, away from the others."""
    here = any(Path(folder, notebook).exists() for folder in (".", "notebooks"))
    return f"[{label}]({notebook})" if here else label


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that the notebooks use."""
    return {"Python": platform.python_version()} | {name: version(name) for name in _VERSIONED}

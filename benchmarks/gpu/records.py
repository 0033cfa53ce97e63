"""What a job has found, one line of JSON each, written as it is found: what is stopped half-way keeps its lines."""

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Record:
    """One thing that was measured.

    Attributes:
        section: which part of the check it belongs to.
        what: its name in the section.
        numbers: what was measured, by name.
        text: what there is to say besides.
        problem: None, or why there is no number.
    """

    section: str
    what: str
    numbers: dict[str, float] = field(default_factory=dict)
    text: str = ""
    problem: str | None = None


class Recorder:
    """Adds records of one section to a file."""

    def __init__(self, path: Path, section: str) -> None:
        self._path, self._section = path, section

    def write(self, what: str, text: str = "", problem: str | None = None, **numbers: float) -> None:
        """Add one record."""
        line = json.dumps(asdict(Record(self._section, what, numbers, text, problem)))
        with self._path.open("a") as file:
            file.write(line + "\n")
        print(self._section, what, numbers or "", text, problem or "", flush=True)

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Turn an exception inside the block into a record, so that the rest of the job goes on."""
        try:
            yield
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            first = (str(error).splitlines() or [""])[0]
            self.write(what, problem=f"{type(error).__name__}: {first}"[:300])


def read(path: Path) -> list[Record]:
    """Return what was written so far; a last line that is not whole is left out."""
    text = path.read_text() if path.exists() else ""
    return [Record(**json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]

"""Grades that are kept, submission by submission: grading that was stopped goes on, and late submissions are added."""

import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from fedlearn_helpers.experiments.run_key import PACKAGE, computing_code, digest_of
from fedlearn_helpers.files import write_whole
from workbook_tools.grading.judgement import Grade

_NOT_FINAL = ("timed out", "crashed", "not executed")  # that may be the machine's doing


class KeptGrades:
    """A folder with a file for each graded submission; another text, workbook or isolation is another file.

    Args:
        folder: made when there is something to keep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, decisive: Sequence[str | bytes]) -> list[Grade] | None:
        """Return the grades of a submission, or None if there are none that would stay the same.

        Args:
            name: of the submission.
            decisive: all that decides its grades, but for what is installed here.
        """
        try:
            return [Grade(**facts) for facts in json.loads(self._path(name, decisive).read_text(encoding="utf-8"))]
        except (OSError, ValueError, TypeError):
            return None

    def write(self, name: str, decisive: Sequence[str | bytes], grades: Sequence[Grade]) -> None:
        """Keep grades, unless another try may give others."""
        if not any(grade.status in _NOT_FINAL for grade in grades):
            write_whole(self._path(name, decisive), json.dumps([asdict(grade) for grade in grades], indent=1))

    def _path(self, name: str, decisive: Sequence[str | bytes]) -> Path:
        everything = (name, _grading_code(), _installed(), *decisive)
        parts = [part.encode() if isinstance(part, str) else part for part in everything]
        hashes = b"".join(hashlib.sha256(part).digest() for part in parts)
        return self._folder / f"{hashlib.sha256(hashes).hexdigest()[:20]}.json"


@functools.cache
def _grading_code() -> str:
    """Return one hash of the code that grades depend on: what computes, exercises, and what grades; no figures."""
    exercises = [*PACKAGE.glob("lessons/*/exercises.py"), *PACKAGE.glob("lessons/*/exercises/*.py")]
    exercises.append(PACKAGE / "lessons" / "common" / "exercise.py")
    tools = Path(__file__).parents[1]
    grading = [path for name in ("grading", "editions/graded", "execution") for path in (tools / name).rglob("*.py")]
    return digest_of([*computing_code(), *exercises, *grading])


@functools.cache
def _installed() -> str:
    """Return what is installed, with its versions: an answer may import it."""
    found = importlib.metadata.distributions()
    return repr(sorted({(each.metadata["Name"] or "", each.version) for each in found}))

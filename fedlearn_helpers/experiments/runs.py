"""Independent runs, spread over workers and kept on disk: what was interrupted goes on where it stopped."""

import hashlib
import json
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.experiments.parallel import Numbers, run_in_parallel
from fedlearn_helpers.experiments.run_key import code_key, refuse_others
from fedlearn_helpers.files import try_writing, without_nan, write_json
from fedlearn_helpers.simulation.arguments import check_kind
from fedlearn_helpers.simulation.workers import Workers

Run = TypeVar("Run", bound=Hashable)


def run_all(
    runs: Sequence[Run],
    do_run: Callable[[Run], Numbers],
    *,
    key: Callable[[Run], Mapping[str, Any]],
    folder: Path | str | None = None,
    workers: Workers = "auto",
    label: str | None = "Runs",
) -> dict[Run, Numbers]:
    """Do all runs and return what each gave.

    Args:
        runs: frozen dataclasses; their values name the files.
        do_run: returns numbers, or lists of numbers, by name.
        key: all that decides what a run gives, for JSON.
        folder: where every finished run is kept as a JSON file. Runs that are in it already are not repeated. None
            keeps nothing.
        workers, label: as in `simulate`.

    Raises:
        InputError: a folder with other runs or a damaged file, or one that cannot be written.
    """
    check_kind("folder", folder, (str, Path, type(None)), "a path or None")
    store = _Store(None if folder is None else Path(folder), key)
    done = {run: numbers for run in runs if (numbers := store.read(run)) is not None}
    missing = [run for run in runs if run not in done]

    def do_missing(number: int) -> Numbers:
        numbers = do_run(missing[number])
        store.write(missing[number], numbers)
        return numbers

    if missing:
        store.check_place()
        finished = run_in_parallel(do_missing, len(missing), seed=0, workers=workers, label=label)
        done |= dict(zip(missing, finished, strict=True))
    return done


class _Store:
    """Finished runs, one file each; a file is there completely or not at all."""

    def __init__(self, folder: Path | None, key: Callable[[Any], Mapping[str, Any]]) -> None:
        self._folder, self._decisive = folder, key

    def _key(self, run: Any) -> dict[str, Any]:
        return dict(self._decisive(run)) | code_key()

    def _path(self, folder: Path, run: Any) -> Path:
        name = "_".join(str(value) for value in asdict(run).values()).replace(":", "-").replace(" ", "-")
        return folder / f"{name}.json"

    def read(self, run: Any) -> Numbers | None:
        """Return what a finished run gave, or None.

        Raises:
            InputError: its file is of other runs, or cannot be read.
        """
        if self._folder is None or not (path := self._path(self._folder, run)).exists():
            return None
        try:
            kept = json.loads(path.read_text())
            key, numbers = dict(kept["run"]), {name: _with_nan(value) for name, value in kept["numbers"].items()}
            if kept["hash"] != _hash_of(key, kept["numbers"]):
                raise ValueError("it is not as it was written")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"folder must hold finished runs only, and {path} is damaged; delete it") from None
        refuse_others("folder must be empty or hold runs of the same comparison", path, key, self._key(run))
        return numbers

    def check_place(self) -> None:
        """Check that runs can be kept, before hours of training have gone into them.

        Raises:
            InputError: the folder cannot be made, or nothing can be written to it.
        """
        try:
            if self._folder is not None:
                try_writing(self._folder)
        except (OSError, ValueError) as error:
            raise InputError(
                f"folder must be one that can be made and written, got {str(self._folder)!r}: {one_line(error)}"
            ) from None

    def write(self, run: Any, numbers: Numbers) -> None:
        """Keep what a finished run gave."""
        if self._folder is not None:
            key, kept = self._key(run), without_nan(numbers)
            write_json(self._path(self._folder, run), {"run": key, "numbers": kept, "hash": _hash_of(key, kept)})


def _hash_of(key: Mapping[str, Any], numbers: Numbers) -> str:
    """Return a hash of what is kept, by which one changed digit is noticed."""
    return hashlib.sha256(json.dumps([key, numbers], sort_keys=True).encode()).hexdigest()[:16]


def _with_nan(value: Any) -> Any:
    """Undo what `without_nan` does to a number, or to those in a list: null was not finite."""
    return [_with_nan(part) for part in value] if isinstance(value, list) else math.nan if value is None else value

"""The files that the server writes: what happened, and the final model."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord

from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.files import try_writing, without_nan, write_json, write_whole
from workbook_app.settings import RunConfig


class ResultsFile:
    """A JSON file that says how far a run came, from the start on.

    Args:
        config: of the run; without `results-path` in it nothing is written.

    Attributes:
        rounds: by round, as in `Reproducible`, and "server": what the server measured.
        warnings: sentences about what may be wrong.
    """

    def __init__(self, config: RunConfig) -> None:
        self._path = config.results_path
        self._run_config = {name.replace("_", "-"): value for name, value in config.model_dump().items()}
        self.rounds: dict[int, dict[str, Any]] = {}
        self.warnings: list[str] = []

    def write(self, status: str, error: str | None = None) -> None:
        """Write the file anew.

        Args:
            status: "running", "completed" or "failed".
            error: one line.

        Raises:
            InputError: it cannot be written.
        """
        if not self._path:
            return
        content = {
            "status": status,
            "error": error,
            "warnings": self.warnings,
            "run-config": self._run_config,
            "rounds": [{"round": number, **entry} for number, entry in sorted(self.rounds.items())],
        }
        try:
            write_json(Path(self._path), without_nan(content))
        except OSError as problem:
            raise _cannot_be_written("results-path", self._path, problem) from None


def check_model_path(path: str) -> None:
    """Check that a model can be written, before hours of training have gone into it.

    Raises:
        InputError: it cannot.
    """
    try:
        if path:
            try_writing(Path(path).parent)
    except (OSError, ValueError) as problem:
        raise _cannot_be_written("model-path", path, problem) from None


def write_model(path: str, arrays: ArrayRecord) -> None:
    """Write a model as NumPy's .npz, which `numpy.load` reads: an array for each of its weights, by name.

    Raises:
        InputError: it cannot be written.
    """
    file = io.BytesIO()
    np.savez(file, **{name: array.numpy() for name, array in arrays.items()})
    try:
        write_whole(Path(path), file.getvalue())
    except OSError as problem:
        raise _cannot_be_written("model-path", path, problem) from None


def _cannot_be_written(key: str, path: str, problem: Exception) -> InputError:
    return InputError(f"{key} must be a file that can be written, got {path!r}: {one_line(problem)}")

"""Independent runs, spread over workers and kept on disk: what was interrupted goes on where it stopped."""

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from fedlearn_helpers.errors import InputError, check_one_of
from fedlearn_helpers.experiments.code_version import code_facts
from fedlearn_helpers.experiments.parallel import Numbers, side_by_side
from fedlearn_helpers.experiments.run_key import refuse_others
from fedlearn_helpers.files import write_json
from fedlearn_helpers.models import MODELS
from fedlearn_helpers.simulation.workers import Workers

Rows = list[dict[str, float]]
Run = TypeVar("Run", bound=Hashable)


def run_all(
    runs: Sequence[Run],
    do_run: Callable[[Run], Rows],
    *,
    facts: Callable[[Run], Mapping[str, Any]],
    folder: Path | str | None = None,
    workers: Workers = "auto",
    label: str | None = "Runs",
) -> dict[Run, Rows]:
    """Do all runs and return what each gave.

    Args:
        runs: frozen dataclasses; their values name the files.
        do_run: returns rows of numbers, all with the same names.
        facts: all that decides what a run gives, for JSON.
        folder: where every finished run is kept as a JSON file. Runs that are in it already are not repeated. None
            keeps nothing.
        workers, label: as in `simulate`.

    Raises:
        InputError: a folder with other runs, or with a damaged file.
    """
    store = _Store(None if folder is None else Path(folder), facts)
    done = {run: rows for run in runs if (rows := store.read(run)) is not None}
    missing = [run for run in runs if run not in done]

    def do_missing(number: int) -> Numbers:
        rows = do_run(missing[number])
        store.write(missing[number], rows)
        return {name: [row[name] for row in rows] for name in rows[0]}

    if missing:
        finished = side_by_side(do_missing, len(missing), seed=0, workers=workers, label=label)
        for run, columns in zip(missing, finished, strict=True):
            done[run] = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return done


def check_plan(plan: Any, *, lists: Sequence[str], least: Mapping[str, int]) -> None:
    """Check what all comparisons have: names, seeds, numbers, and which images a client keeps for validation.

    Args:
        plan: has `seeds`, `model`, `max_images` and `validation_fraction`, and the attributes named below.
        lists: attributes that must not be empty.
        least: attributes that must be at least so large.

    Raises:
        InputError: one of them cannot work.
    """
    for name in lists:
        if len(getattr(plan, name)) == 0:
            raise InputError(f"{name} must name at least one, got none")
    for name, limit in least.items():
        if getattr(plan, name) < limit:
            raise InputError(f"{name} must be >= {limit}, got {getattr(plan, name)}")
    if plan.max_images is not None and plan.max_images < 1:
        raise InputError(f"max_images must be >= 1, got {plan.max_images}")
    if not 0 < plan.validation_fraction < 1:
        raise InputError(f"validation_fraction must be > 0 and < 1, got {plan.validation_fraction}")
    check_one_of("model", plan.model, MODELS)
    if bad := [seed for seed in plan.seeds if seed < 0]:
        raise InputError(f"seeds must be >= 0, got {bad[0]}")


class _Store:
    """Finished runs, one file each; a file is there completely or not at all."""

    def __init__(self, folder: Path | None, facts: Callable[[Any], Mapping[str, Any]]) -> None:
        self._folder, self._decisive = folder, facts

    def _facts(self, run: Any) -> dict[str, Any]:
        return dict(self._decisive(run)) | code_facts()

    def _path(self, run: Any) -> Path:
        name = "_".join(str(value) for value in asdict(run).values()).replace(":", "-").replace(" ", "-")
        return self._folder / f"{name}.json"

    def read(self, run: Any) -> Rows | None:
        """Return what a finished run gave, or None.

        Raises:
            InputError: its file is of other runs, or cannot be read.
        """
        if self._folder is None or not (path := self._path(run)).exists():
            return None
        try:
            kept = json.loads(path.read_text())
            facts, rows = kept["run"], kept["rows"]
        except (ValueError, KeyError, TypeError):
            raise InputError(f"folder must hold finished runs only, and {path} is damaged; delete it") from None
        refuse_others("folder must be empty or hold runs of the same comparison", path, facts, self._facts(run))
        return rows

    def write(self, run: Any, rows: Rows) -> None:
        """Keep what a finished run gave."""
        if self._folder is not None:
            write_json(self._path(run), {"run": self._facts(run), "rows": rows})

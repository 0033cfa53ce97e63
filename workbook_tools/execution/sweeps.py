"""A notebook with every combination of parameter values and seeds, run by run, each of which is kept."""

from __future__ import annotations  # the table's type is imported when there is a table

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments.run_key import code_key
from workbook_tools.execution.content import content_of, data_sets
from workbook_tools.execution.notebooks import check_values, code_of, parameter_names, refuse_unknown

if TYPE_CHECKING:
    import pandas as pd

OK = "ok"
_LOG, _EXECUTED, _UNFINISHED = "log.txt", "notebook.ipynb", ".unfinished"
_SECONDS_UNTIL_ABANDONED = 24 * 3600
_DECIDES_NOTHING = ("workers", "output_dir")  # of the results: they are the same with any number of workers


@dataclass(frozen=True)
class Sweep:
    """What is run.

    Attributes:
        notebook: the file.
        values: by parameter, its values; parameters with several are varied, in all combinations.
        seeds: each combination is run with each of them.
    """

    notebook: Path
    values: Mapping[str, Sequence[Any]]
    seeds: Sequence[int]

    @property
    def varied(self) -> tuple[str, ...]:
        """The parameters with more than one value."""
        return tuple(name for name, values in self.values.items() if len(values) > 1)

    def runs(self) -> list[dict[str, Any]]:
        """Return the parameters of each run."""
        names = (*self.values, "seed")
        return [dict(zip(names, chosen, strict=True)) for chosen in product(*self.values.values(), self.seeds)]

    def check(self) -> None:
        """Check the parameters of every run without running any.

        Raises:
            InputError: a parameter that the notebook lacks, or a value that cannot work.
        """
        for reserved, instead in (("seed", "--seeds 0,1"), ("output_dir", "--output")):
            if reserved in self.values:
                raise InputError(f"parameter must not be {reserved!r} in a sweep, use {instead}")
        refuse_unknown([self.notebook], [*self.values, "seed"])
        for run in self.runs():
            check_values(self.notebook, run)


@dataclass(frozen=True)
class Finished:
    """What came of one run.

    Attributes:
        status: "ok", or one line that says what went wrong.
        metrics: of its results.json; empty if it failed.
        folder: where its executed notebook is.
    """

    status: str
    metrics: Mapping[str, Any]
    folder: Path


def perform(
    sweep: Sweep, folder: Path, in_parallel: int, on_finished: Callable[[Mapping[str, Any], Finished, float], None]
) -> list[Finished]:
    """Run what is not in `folder` yet; return what came of all runs, in the order of `sweep.runs()`.

    Every run is a process of its own. Where there are fewer runs than cores, each may use several.

    Args:
        sweep: what to run.
        folder: where runs are kept, a folder each. Finished ones are not repeated, failed ones are.
        in_parallel: how many runs go on at a time, >= 1.
        on_finished: gets a run's parameters, what came of it and its seconds as soon as it has ended.
    """
    for old in folder.glob(f"{_UNFINISHED}*"):  # left by a process that was killed
        if time.time() - old.stat().st_mtime > _SECONDS_UNTIL_ABANDONED:
            shutil.rmtree(old, ignore_errors=True)
    runs = sweep.runs()
    names = data_sets(sweep.notebook, runs)
    content = content_of(names)
    homes = [_home(folder, sweep, run, content[name]) for run, name in zip(runs, names, strict=True)]
    finished = {home: kept for home in homes if (kept := _read(home)) is not None}
    missing = {home: run for home, run in zip(homes, runs, strict=True) if home not in finished}
    workers = max(1, in_parallel // max(1, len(missing)))
    with _Runner(sweep.notebook, workers) as runner, ThreadPoolExecutor(in_parallel) as pool:
        try:
            futures = {pool.submit(runner.run, home, run): home for home, run in missing.items()}
            for future in as_completed(futures):
                home = futures[future]
                finished[home], seconds = future.result()
                on_finished(missing[home], finished[home], seconds)
        except BaseException:  # the pool waits for its threads, and they for their processes
            runner.stop()
            raise
    return [finished[home] for home in homes]


def _home(folder: Path, sweep: Sweep, run: Mapping[str, Any], data: str) -> Path:
    """Return a run's folder: with other parameters, other data or other code it is another one.

    Its name says what is varied. An earlier sweep may have varied something else: its folder is taken as it is.
    """
    decisive = {name: value for name, value in run.items() if name not in _DECIDES_NOTHING}
    facts = json.dumps([code_of(sweep.notebook), code_key(sweep.notebook.stem[3:]), data, decisive], sort_keys=True)
    digest = hashlib.sha256(facts.encode()).hexdigest()[:10]
    number = sweep.notebook.stem[:2]
    shown = "_".join(f"{name}={run[name]}" for name in (*sweep.varied, "seed"))
    safe = "".join(letter if letter.isalnum() or letter in "=_.-" else "-" for letter in shown)
    return next(iter(sorted(folder.glob(f"{number}_*_{digest}"))), folder / f"{number}_{safe[:80]}_{digest}")


def _read(home: Path) -> Finished | None:
    try:
        metrics = json.loads((home / "results.json").read_text())["metrics"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Finished(OK, metrics, home)


class _Runner:
    """Runs the notebook in processes of their own, all of which end with this context."""

    def __init__(self, notebook: Path, workers: int) -> None:
        from workbook_tools.execution.apart import Apart

        self._notebook, self._apart = notebook, Apart()
        self._workers = {"workers": workers} if "workers" in parameter_names(notebook) else {}

    def __enter__(self) -> _Runner:
        self._apart.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self._apart.__exit__()

    def stop(self) -> None:
        """End what runs, and start nothing more."""
        self._apart.stop()

    def run(self, home: Path, parameters: Mapping[str, Any]) -> tuple[Finished, float]:
        """Run the notebook in a new folder, which gets its name when the run has succeeded."""
        start = time.perf_counter()
        home.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=home.parent))
        try:
            status = self._run_in(folder, parameters)
            failed = home.with_name(f"failed_{home.name}")
            kept = home if status == OK else failed
            for old in (home, failed):
                shutil.rmtree(old, ignore_errors=True)
            folder.chmod(0o755)
            folder.rename(kept)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return _read(home) or Finished(status, {}, kept), time.perf_counter() - start

    def _run_in(self, folder: Path, parameters: Mapping[str, Any]) -> str:
        values = self._workers | dict(parameters) | {"output_dir": str(folder)}
        problem = self._apart.execute(self._notebook, folder / _EXECUTED, values, folder / _LOG)
        if problem is not None:
            return problem
        return OK if (folder / "results.json").exists() else "the notebook wrote no results.json"


def tabulate(sweep: Sweep, finished: Sequence[Finished]) -> pd.DataFrame:
    """Return one row per run: its parameters, its status, and its metrics (lists as JSON)."""
    import pandas as pd

    rows = []
    for run, outcome in zip(sweep.runs(), finished, strict=True):
        metrics = {
            f"{name} (metric)" if name in run else name: json.dumps(value) if isinstance(value, list) else value
            for name, value in outcome.metrics.items()
        }
        rows.append(run | {"status": outcome.status} | metrics)
    return pd.DataFrame(rows)


def metrics_to_draw(table: pd.DataFrame, names: Sequence[str] = ()) -> list[str]:
    """Return which metrics of a table a figure shows: those asked for, or at most four that matter most.

    Raises:
        InputError: a name that is no single number in the table.
    """
    numbers = [name for name in table.columns[table.columns.get_loc("status") + 1 :] if table[name].dtype.kind in "if"]
    if unknown := [name for name in names if name not in numbers]:
        raise InputError(f"metrics must be among {', '.join(numbers)}, got {', '.join(unknown)}")
    if names:
        return list(names)
    chosen = [[name for name in numbers if name.endswith(ending)][:4] for ending in ("test_accuracy", "error", "")]
    return next(filter(None, chosen), [])

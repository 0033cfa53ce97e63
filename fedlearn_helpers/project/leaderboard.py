"""Projects side by side, one line each. It ranks nobody: projects of different fields have different metrics."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.files import write_whole
from fedlearn_helpers.project.evidence import runs_of, worst_client
from fedlearn_helpers.project.names import name_as_text
from fedlearn_helpers.project.reading import PLAN, read_project

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("name", "metric", "mean", "spread", "worst_client", "bytes", "seeds", "faults")


def leaderboard(folders: Iterable[Path | str]) -> pd.DataFrame:
    """Return one row per project: what its candidate reaches in the setting of the claim.

    Returns:
        Columns: `name` (of the folder, as text that is no formula), `metric`, `mean` (over clients, then over seeds),
        `spread` (standard deviation over seeds; nan for one), `worst_client` (the number of the client that is worst
        off on average over seeds), `bytes` (of a run, mean over seeds), `seeds`, and `faults` (how many are in the
        files: a plan that was changed, records that were edited and so do not count; `Project.check` names them).
        Numbers are nan, and seeds 0, without a run. Rows in the order of the folders.

    Raises:
        InputError: a folder without a plan that can be read.
    """
    import pandas as pd

    rows = []
    for folder in map(Path, [folders] if isinstance(folders, str | Path) else folders):
        found = read_project(folder)
        if (plan := found.plan) is None:
            reason = (found.faults_of(PLAN) or [f"there is no {PLAN}"])[0]
            raise InputError(f"folders must be folders of projects, got {str(folder)!r}: {reason}")
        row: dict[str, object] = {"name": name_as_text(folder.resolve().name), "metric": plan.metric, "seeds": 0}
        row["faults"] = len(found.faults)
        if runs := runs_of(found.records, plan.settings[0], plan.candidate):
            means = [run.mean for run in runs.values()]
            row |= {
                "mean": fmean(means),
                "spread": stdev(means) if len(means) > 1 else float("nan"),
                "worst_client": worst_client(plan, runs)[1],
                "bytes": fmean(run.bytes for run in runs.values()),
                "seeds": len(runs),
            }
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write_leaderboard(folders: Iterable[Path | str], path: Path | str) -> Path:
    """Write the leaderboard of projects as a CSV file, and return its path.

    Raises:
        InputError: as in `leaderboard`.
    """
    write_whole(Path(path), leaderboard(folders).to_csv(index=False))
    return Path(path)

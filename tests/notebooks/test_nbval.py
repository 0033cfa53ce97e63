"""Every notebook, cell by cell with its default parameters, as `pytest --nbval-lax` runs it."""

import shutil
import subprocess
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def test_every_notebook_passes_nbval(tmp_path):
    for path in NOTEBOOKS.glob("[0-9]*.ipynb"):
        shutil.copy(path, tmp_path)  # a run writes results beside the notebook
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600"]
    done = subprocess.run(
        [*command, "-q", "-p", "no:cacheprovider", str(tmp_path)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout and "failed" not in done.stdout
    assert len(list(tmp_path.glob("results/*/results.json"))) == len(list(NOTEBOOKS.glob("[0-9]*.ipynb")))

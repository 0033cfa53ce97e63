"""Every notebook, cell by cell, as `pytest --nbval-lax` runs it; with small parameters, for the sake of time."""

import subprocess
import sys

import nbformat
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from test_run import NOTEBOOKS, SMALL


def test_every_notebook_passes_nbval(tmp_path):
    for name, parameters in SMALL.items():
        notebook = load_notebook_node(str(NOTEBOOKS / f"{name}.ipynb"))
        notebook = parameterize_notebook(notebook, parameters, kernel_name="python3", language="python")
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600"]
    done = subprocess.run(
        [*command, "-q", "-p", "no:cacheprovider", str(tmp_path)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout and "failed" not in done.stdout
    assert len(list(tmp_path.glob("results/*/results.json"))) == len(SMALL)
    assert set(SMALL) == {path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb")}

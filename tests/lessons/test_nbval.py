"""Notebooks cell by cell, as `pytest --nbval-lax` runs them: a lesson and a wrap-up, with small parameters.

All notebooks run in other tests; here it is about what nbval makes of their outputs.
"""

import subprocess
import sys

import nbformat
import pytest
from lesson import all_lessons
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

NAMES = ("00_start_here", "w2_wrap_up_differences")


@pytest.mark.notebook
def test_notebooks_pass_nbval(tmp_path):
    for name in NAMES:
        lesson = all_lessons()[name]
        notebook = load_notebook_node(str(lesson.path))
        notebook = parameterize_notebook(notebook, lesson.small, kernel_name="python3", language="python")
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600"]
    done = subprocess.run(
        [*command, "-q", "-p", "no:cacheprovider", str(tmp_path)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout and "failed" not in done.stdout
    assert len(list(tmp_path.glob("results/*/results.json"))) == len(NAMES)

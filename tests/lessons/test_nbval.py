"""Every notebook, cell by cell, as `pytest --nbval-lax` runs it; with small parameters, for the sake of time."""

import subprocess
import sys

import nbformat
import pytest
from lesson import all_lessons
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook


@pytest.mark.notebook
def test_every_notebook_passes_nbval(tmp_path):
    lessons = all_lessons()
    for name, lesson in lessons.items():
        notebook = load_notebook_node(str(lesson.path))
        notebook = parameterize_notebook(notebook, lesson.small, kernel_name="python3", language="python")
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600"]
    done = subprocess.run(
        [*command, "-q", "-p", "no:cacheprovider", str(tmp_path)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout and "failed" not in done.stdout
    assert len(list(tmp_path.glob("results/*/results.json"))) == len(lessons)

"""environment.yml, as Binder and conda use it: its pip section makes an environment in which everything imports.

Opt-in, since it installs five gigabytes: FEDLEARN_TEST_BINDER=1.
"""

import os
import pkgutil
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import fedlearn_helpers

ROOT = Path(__file__).parents[2]
DEPENDENCIES = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
PIP_LINES = DEPENDENCIES[-1]["pip"]


def test_the_pip_section_refers_to_files_that_are_there():
    """Binder copies the whole repository before it installs, because these lines name local files."""
    words = [word for line in PIP_LINES for word in shlex.split(line)]
    assert words == ["-r", "requirements.txt", "-e", "."]
    assert (ROOT / "requirements.txt").is_file() and (ROOT / "pyproject.toml").is_file()


def test_binder_finds_no_file_that_it_would_prefer():
    """In these places it looks first, and then ignores environment.yml."""
    for name in ("binder", ".binder", "Dockerfile"):
        assert not (ROOT / name).exists()


@pytest.mark.skipif(os.environ.get("FEDLEARN_TEST_BINDER") != "1", reason="set FEDLEARN_TEST_BINDER=1; takes minutes")
def test_everything_imports_in_a_fresh_environment(tmp_path):
    wanted = next(entry for entry in DEPENDENCIES if str(entry).startswith("python=")).removeprefix("python=")
    if wanted != f"{sys.version_info[0]}.{sys.version_info[1]}":
        pytest.skip(f"needs Python {wanted}")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    python = tmp_path / "fresh" / "bin" / "python"

    def run(*command, cwd=ROOT):
        done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "venv", tmp_path / "fresh")
    run(python, "-m", "pip", "install", "--quiet", *(word for line in PIP_LINES for word in shlex.split(line)))
    run(python, "-m", "pip", "check")
    modules = [module.name for module in pkgutil.walk_packages(fedlearn_helpers.__path__, "fedlearn_helpers.")]
    assert len(modules) > 50
    imports = "; ".join(f"import {name}" for name in modules if not name.endswith("__main__"))
    run(python, "-c", imports, cwd=tmp_path)
    for command in ("fedlearn --help", "jupyter lab --version", "papermill --version", "flwr --version"):
        program, argument = command.rsplit(" ", 1)
        run(*(python.with_name(program.split()[0]), *program.split()[1:], argument), cwd=tmp_path)

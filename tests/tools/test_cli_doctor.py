"""`fedlearn doctor`: true sentences about this machine, and about worse ones."""

import importlib.metadata
import sys

import pytest
from typer.testing import CliRunner

from workbook_tools.cli import app
from workbook_tools.commands import doctor as module


def doctor():
    return CliRunner().invoke(app, ["doctor"])


@pytest.fixture
def untried(monkeypatch):
    """Leave out what takes seconds: the kernel, the workers, CUDA."""
    monkeypatch.setattr(module, "_abilities", lambda problems: ["abilities"])


@pytest.mark.slow
def test_here_the_notebooks_can_run(monkeypatch, tmp_path):
    monkeypatch.setenv("FEDLEARN_DATA", str(tmp_path / "nothing"))
    result = doctor()
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert f"  torch                    {importlib.metadata.version('torch'):<12} ok" in lines
    assert any(line.startswith("Kernel: starts and finds the package, with ") for line in lines)
    assert any(line.startswith("Workers: ") for line in lines)
    assert any(line.endswith("which is NO FOLDER: only the data set 'fashion' works.") for line in lines)
    assert lines[-1] == "The notebooks can run here: fedlearn run"


def pretend(monkeypatch, versions):
    real = importlib.metadata.version

    def version(name):
        found = versions.get(name, real)
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found if isinstance(found, str) else real(name)

    monkeypatch.setattr(module, "version", version)


def test_a_missing_package_is_a_problem_unless_only_some_need_it(monkeypatch, untried):
    pretend(monkeypatch, {"playwright": None})
    result = doctor()
    assert result.exit_code == 0 and "MISSING (only for tests)" in result.output
    pretend(monkeypatch, {"papermill": None})
    result = doctor()
    assert result.exit_code == 1
    assert "PROBLEM: papermill is not installed: pip install 'papermill>=2.7'" in result.output
    assert result.output.splitlines()[-1] == "The notebooks cannot run here."


def test_a_version_out_of_range_is_said(monkeypatch, untried):
    pretend(monkeypatch, {"flwr": "9.0"})
    assert "9.0          OUTSIDE the range <1.43,>=1.41, which was tested; it may not work" in doctor().output


def test_a_kernel_that_does_not_start_or_lacks_the_package_is_a_problem(monkeypatch):
    problems = []
    monkeypatch.setitem(sys.modules, "jupyter_client.manager", Starting(OSError("no such file")))
    assert module._kernel(problems) == "Kernel: FAILED"
    monkeypatch.setitem(sys.modules, "jupyter_client.manager", Starting(None))
    assert module._kernel(problems) == "Kernel: FAILED"
    assert problems[0] == "no kernel starts: OSError: no such file"
    assert "cannot import this package: ModuleNotFoundError No module named 'fedlearn_helpers'" in problems[1]


class Starting:
    """Stands for `jupyter_client.manager`: its kernel does not start, or cannot import the package."""

    def __init__(self, error):
        self.error = error

    def start_new_kernel(self, **options):
        if self.error:
            raise self.error
        return self, self

    def execute_interactive(self, code, output_hook, timeout):
        output_hook({"content": {"ename": "ModuleNotFoundError ", "evalue": "No module named 'fedlearn_helpers'"}})
        return {"content": {"status": "error"}}

    def stop_channels(self):
        pass

    def shutdown_kernel(self, now):
        pass


@pytest.mark.parametrize(("limit", "said"), [("2000000000\n", "2.0 GB of memory, which is little"), ("max\n", "GB")])
def test_the_memory_limit_of_a_container_counts(limit, said, monkeypatch, tmp_path):
    file = tmp_path / "memory.max"
    file.write_text(limit)
    monkeypatch.setattr(module, "_MEMORY_LIMIT", file)
    assert said in module._machine()
    assert ("little" in module._machine()) == (module._memory() < 4)

"""Virtual environments without the package, to run editions in: one as Google Colab has it, and a bare one."""

import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PINS = Path(__file__).with_name("requirements-colab.txt")
COLAB_PYTHON = "3.13"
_FOLDER = ROOT / "build" / "test-environments"
# Importing them once, before environments are copied, leaves their byte code for every run.
_WARM_UP = "import torch, torchvision, IPython, ipykernel.kernelapp"
_WARM_UP_COLAB = f"{_WARM_UP}, pandas, pyarrow.parquet, matplotlib.pyplot, ipywidgets, pydantic, grpc, sqlalchemy"


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def installed(self) -> dict[str, str]:
        """Return the installed versions by name, as pip sees them."""
        found = json.loads(run(self.python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"))
        return {canonicalize_name(entry["name"]): entry["version"] for entry in found}

    def kernel(self, folder: Path) -> str:
        """Describe a kernel of this environment in a folder for `JUPYTER_PATH`, and return its name."""
        name = f"edition-{self.folder.name}"
        target = folder / "kernels" / name / "kernel.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [str(self.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        target.write_text(json.dumps({"argv": command, "display_name": name, "language": "python"}))
        return name


def run(*command: object, cwd: Path | None = None) -> str:
    """Run a command without this project on its path; return what it prints, or raise what it said."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=cwd, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))[:300]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def find_python(version: str) -> Path | None:
    """Return a Python of this version that is on this machine, on the path or under pyenv."""
    found = subprocess.run(
        [sys.executable, "-m", "uv", "python", "find", "--no-python-downloads", version], capture_output=True, text=True
    )
    under_pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    return Path(found.stdout.strip()) if found.returncode == 0 else next(iter(under_pyenv), None)


def like_colab(python: Path) -> Environment:
    """Return an environment with Colab's versions, made once for all runs with the same pins.

    PyTorch cannot be imported without the CUDA libraries that it names as dependencies, so they are installed, too:
    the largest part of the five gigabytes, but shared with uv's cache. Everything else comes without dependencies:
    Colab itself lacks some of them.
    """

    def fill(environment: Environment) -> None:
        _uv("install", environment, "--no-deps", "--requirement", PINS)
        _uv("install", environment, "--constraint", PINS, "torch", "torchvision")
        run(environment.python, "-c", _WARM_UP_COLAB)

    return _made_once("colab", python, PINS.read_text(), fill)


def bare() -> Environment:
    """Return an environment of this Python that holds PyTorch, pip and a kernel, and nothing else of the workbook.

    PyTorch is linked from the environment that runs the tests, not downloaded again.
    """
    pins = ROOT / "requirements.txt"

    def fill(environment: Environment) -> None:
        (packages,) = environment.folder.glob("lib/python*/site-packages")
        _link_distributions(["torch", "torchvision"], packages)
        _uv("install", environment, "--constraint", pins, "ipykernel", "pip")
        run(environment.python, "-c", _WARM_UP)

    return _made_once("bare", Path(sys.executable).resolve(), pins.read_text() + sys.prefix, fill)


def copy(environment: Environment, name: str) -> Environment:
    """Return a copy that may be changed. Its files are hard links: quick, and pip never writes into a file."""
    target = _FOLDER / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(environment.folder, target, symlinks=True, copy_function=os.link)
    return Environment(target)


def remove(environment: Environment) -> None:
    shutil.rmtree(environment.folder)


def _made_once(name, python, content, fill) -> Environment:
    """Make an environment, or return the one that was made of the same content; a half-made one is never returned."""
    key = hashlib.sha256(f"{python} {content}".encode()).hexdigest()[:12]
    finished = _FOLDER / f"{name}-{key}"
    if not finished.exists():
        for old in _FOLDER.glob(f"{name}-*"):
            shutil.rmtree(old)
        unfinished = Environment(_FOLDER / f"unfinished-{name}")
        shutil.rmtree(unfinished.folder, ignore_errors=True)
        run(sys.executable, "-m", "uv", "venv", "--python", python, unfinished.folder)
        fill(unfinished)
        unfinished.folder.rename(finished)
    return Environment(finished)


def _uv(command: str, environment: Environment, *arguments: object) -> None:
    run(sys.executable, "-m", "uv", "pip", command, "--quiet", "--python", environment.python, *arguments)


def _link_distributions(names: list[str], packages: Path) -> None:
    """Link distributions, and what they need, from this environment into another one's folder of packages."""
    waiting, linked = list(names), set()
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in linked:
            continue
        linked.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:  # for another platform
            continue
        for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(distribution.locate_file(top))
        wanted = map(Requirement, distribution.requires or [])
        waiting += [each.name for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]

"""Makes a notebook server ready for an edition, and leaves alone whatever is installed.

An edition's first cell is this file and a call of `set_up`: so it imports nothing but the standard library.
"""

import importlib
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tempfile


def missing(requirements: dict[str, str]) -> list[str]:
    """Return the requirements whose distributions are not installed, whatever the version."""
    found = installed()
    return [requirement for name, requirement in requirements.items() if name not in found]


def installed() -> dict[str, str]:
    """Return the versions of what is installed; of several copies that of the first, which is imported."""
    found: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        if name := each.metadata["Name"]:
            found.setdefault(name.lower().replace("_", "-").replace(".", "-"), each.version)
    return found


def pip_install(*arguments: str) -> None:
    """Run pip.

    Raises:
        RuntimeError: it failed; with the last thing that it said.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise RuntimeError(f"pip could not install {' '.join(arguments)}: {said[-1] if said else 'no reason given'}")


def set_up(with_dependencies: dict[str, str], alone: dict[str, str], package: str, folders: list[str]) -> None:
    """Install what is missing, and make the folders of the package that the next cells write.

    Args:
        with_dependencies: requirements by name. Colab has all of them; elsewhere the missing ones are installed
            with what they depend on, in versions that go with everything that is there.
        alone: requirements by name that are installed without what they depend on: their own limits would
            replace what Colab has, although they run with it.
        package: name of the package.
        folders: of the package's modules.

    Raises:
        RuntimeError: pip failed, or the package's folder is here and holds a module that no edition wrote.
    """
    if not all(path.read_text("utf-8").startswith("# @title") for path in pathlib.Path(package).rglob("*.py")):
        raise RuntimeError(f"{pathlib.Path(package).resolve()} is not of this notebook's making: run it elsewhere")
    lacking, lacking_alone = missing(with_dependencies), missing(alone)
    if lacking or lacking_alone:
        print("Installing", *lacking, *lacking_alone)
    if lacking:
        with tempfile.TemporaryDirectory() as folder:
            limits = pathlib.Path(folder, "installed.txt")
            limits.write_text("".join(f"{name}=={version}\n" for name, version in installed().items()))
            pip_install("--constraint", str(limits), *lacking)
    if lacking_alone:
        pip_install("--no-deps", *lacking_alone)
    for folder in folders:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]  # of an earlier run of these cells
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.insert(0, os.getcwd())
    importlib.invalidate_caches()

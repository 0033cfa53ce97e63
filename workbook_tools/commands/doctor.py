"""`fedlearn doctor`: what is installed, and what will work here."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import typer
from packaging.requirements import Requirement

_NAME = "fedlearn-helpers"
_FOR_NOTEBOOKS = ("", "lab")  # the extras without which no notebook runs
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of the container (Linux, control groups 2)
_ENOUGH_MEMORY = 4.0  # GB, for a notebook with two workers


def doctor() -> None:
    """Say what is installed and what will work here; the exit code is 1 if the notebooks cannot run.

    Example: fedlearn doctor
    """
    problems: list[str] = []
    try:
        Path.home()
    except RuntimeError:
        problems.append("this user has no home folder, where Jupyter keeps its files: set HOME to a folder")
    print(f"Python {platform.python_version()} on {platform.platform()}: {sys.executable}")
    for line in _packages(problems):
        print(line)
    print(_machine())
    if not problems:  # what follows needs the packages and a home
        for line in (*_abilities(problems), *_folders()):
            print(line)
    print()
    for problem in problems:
        print(f"PROBLEM: {problem}")
    print("The notebooks cannot run here." if problems else "The notebooks can run here: fedlearn run")
    raise typer.Exit(code=1 if problems else 0)


def _packages(problems: list[str]) -> Iterator[str]:
    yield "Packages:"
    try:
        requirements = [Requirement(line) for line in requires(_NAME) or []]
    except PackageNotFoundError:
        problems.append(f"{_NAME} is not installed: run pip install -e . in the workbook's folder")
        return
    seen: set[str] = set()
    for requirement in requirements:
        extra = next((name for name in ("lab", "tests", "site", "simulation") if _belongs_to(requirement, name)), "")
        if requirement.marker and not extra and not requirement.marker.evaluate():
            continue
        if requirement.name in seen and not requirement.extras:
            continue
        seen.add(requirement.name)
        needed = f" (only for {extra})" if extra not in _FOR_NOTEBOOKS else ""
        name = requirement.name + (f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else "")
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield f"  {name:<24} MISSING{needed}"
            if extra in _FOR_NOTEBOOKS:
                problems.append(f"{name} is not installed: pip install '{name}{requirement.specifier}'")
            continue
        if lacking := _lacking(requirement):
            yield f"  {name:<24} MISSING: {', '.join(lacking)}{needed}"
            continue
        in_range = requirement.specifier.contains(found, prereleases=True)
        state = "ok" if in_range else f"OUTSIDE the range {requirement.specifier}, which was tested; it may not work"
        yield f"  {name:<24} {found:<12} {state}{needed}"


def _lacking(requirement: Requirement) -> list[str]:
    """Return the packages that the extras of an installed package want, and that are not here."""
    lacking = []
    for wanted in map(Requirement, requires(requirement.name) or []):
        if any(_belongs_to(wanted, extra) for extra in requirement.extras):
            try:
                version(wanted.name)
            except PackageNotFoundError:
                lacking.append(wanted.name)
    return lacking


def _belongs_to(requirement: Requirement, extra: str) -> bool:
    marker = requirement.marker
    return marker is not None and not marker.evaluate({"extra": ""}) and marker.evaluate({"extra": extra})


def _machine() -> str:
    memory = _memory()
    known = f"{memory:.1f} GB of memory" if memory else "an unknown amount of memory"
    few = ", which is little: close other programs, and set workers to 1" if memory and memory < _ENOUGH_MEMORY else ""
    return f"Machine: {os.cpu_count()} cores, {known}{few}."


def _memory() -> float | None:
    """Return the memory that this process may use, in GB."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None
    try:
        return min(total, int(_MEMORY_LIMIT.read_text()) / 1e9)
    except (OSError, ValueError):  # no container, or "max"
        return total


def _abilities(problems: list[str]) -> Iterator[str]:
    """Try what the notebooks do, and say what works."""
    yield _kernel(problems)
    yield _workers()
    from workbook_tools.grading import isolation

    kept = isolation.NAMESPACE if isolation.grants_namespaces() else isolation.GUARD
    yield f"Grading: submissions would be kept from the network by {kept}."
    from fedlearn_helpers.device import choose_device

    _, said = choose_device()
    yield f"CUDA: {said or 'none; notebooks compute on the processor, for which their defaults are made.'}"
    browser = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    yield (
        f"Chromium: {browser}." if browser else "Chromium: none; only the tests in a browser need it, and are skipped."
    )


def _kernel(problems: list[str]) -> str:
    """Start a kernel and import the package in it."""
    from jupyter_client.manager import start_new_kernel

    printed: list[str] = []

    def collect(message: dict) -> None:
        content = message["content"]
        printed.append(content.get("text", "") + content.get("ename", "") + content.get("evalue", ""))

    try:
        quiet = ["--IPKernelApp.log_level=50"]
        manager, client = start_new_kernel(kernel_name="python3", startup_timeout=60, extra_arguments=quiet)
    except Exception as error:
        problems.append(f"no kernel starts: {type(error).__name__}: {error}")
        return "Kernel: FAILED"
    try:
        code = "import sys, fedlearn_helpers.lessons.common.results; print(sys.executable)"
        reply = client.execute_interactive(code, output_hook=collect, timeout=60)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    said = " ".join("".join(printed).split())
    if reply["content"]["status"] != "ok":
        problems.append(f"the kernel 'python3' cannot import this package: {said}")
        return "Kernel: FAILED"
    return f"Kernel: starts and finds the package, with {said}."


def _workers() -> str:
    """Let two workers do something."""
    from fedlearn_helpers.experiments.parallel import run_in_parallel
    from fedlearn_helpers.simulation.workers import cores, obstacle_to_forking

    if obstacle := obstacle_to_forking():
        return f"Workers: one process, because {obstacle}. Results are the same, and come later."
    try:
        answers = run_in_parallel(lambda number: {"number": number}, 2, seed=0, workers=2, label=None)
    except (RuntimeError, OSError) as error:
        return f"Workers: forked processes do not work here ({error}). Set workers to 1 in every notebook."
    assert [answer["number"] for answer in answers] == [0, 1]
    return f"Workers: clients are spread over {cores()} forked processes."


def _folders() -> Iterator[str]:
    data = os.environ.get("FEDLEARN_DATA")
    if not data:
        yield "FEDLEARN_DATA: not set; data sets other than 'fashion' come from the cache or the network."
    elif os.path.isdir(os.path.expanduser(data)):
        yield f"FEDLEARN_DATA: {data}; fedlearn data says what is in it."
    else:
        yield f"FEDLEARN_DATA: {data}, which is NO FOLDER: only the data set 'fashion' works."
    from fedlearn_helpers.data.cache import cache_folder
    from fedlearn_helpers.errors import InputError

    try:
        cache = cache_folder()
    except InputError as error:
        yield f"FEDLEARN_CACHE: NO FOLDER ({error}); only 'fashion' works."
        return
    existing = next(path for path in (cache, *cache.parents) if os.path.exists(path))
    writable = existing.is_dir() and os.access(existing, os.W_OK)
    yield f"FEDLEARN_CACHE: {cache}" + ("." if writable else ", which CANNOT BE WRITTEN: only 'fashion' works.")

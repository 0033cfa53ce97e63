"""Grading: every submission is executed for itself, and each of its exercises gets a status."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat

import fedlearn_helpers
from fedlearn_helpers.data.cache import cache_folder
from fedlearn_helpers.deployment.processes import OwnProcesses
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.graded.cells import ExerciseCells, exercises_module
from fedlearn_helpers.graded.isolation import GUARD, NAMESPACE, grants_namespaces
from fedlearn_helpers.graded.submission import Merged, is_answer, merge
from fedlearn_helpers.kernels import folder_for_sockets
from fedlearn_helpers.notebooks import numbered

STATUSES = ("correct", "wrong", "not attempted", "timed out", "crashed", "used the network", "unreadable")
_PACKAGE = Path(fedlearn_helpers.__file__).parent
_GUARD = _PACKAGE / "graded" / "no_network"
_SAID = {"not yet": "wrong"}  # verdicts that are called otherwise here


@dataclass(frozen=True)
class Grade:
    """What came of one exercise of one submission.

    Attributes:
        submission: its path below the folder of submissions.
        exercise: such as "04.2"; empty if the submission cannot be read.
        name: of the exercise.
        status: one of `STATUSES`.
        message: what the check said, or what went wrong.
        remarks: about the submission as a whole.
        isolation: how it was kept from the network.
    """

    submission: str
    exercise: str
    name: str
    status: str
    message: str
    remarks: str = ""
    isolation: str = ""


def find_submissions(folder: Path) -> list[Path]:
    """Return the notebooks below a folder.

    Raises:
        InputError: no such folder, or no notebook in it.
    """
    if not folder.is_dir():
        raise InputError(f"submissions must be a folder with notebooks, got {str(folder)!r}, which is no folder")
    found = sorted(path for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    if not found:
        raise InputError(f"submissions must be a folder with notebooks, got {str(folder)!r} with none")
    return found


def originals(folder: Path) -> dict[str, Path]:
    """Return the workbook's notebooks by the name of their exercises' module.

    Raises:
        InputError: no notebooks, or the package here is an edition without solutions.
    """
    from fedlearn_helpers.exercises.exercise import Exercise
    from fedlearn_helpers.graded.edition import exercise_modules

    for module in exercise_modules():
        if any(isinstance(value, Exercise) and value.test is None for value in vars(module).values()):
            raise InputError("fedlearn grade needs the workbook itself, got its edition for graded work, without tests")
    by_module = {exercises_module(nbformat.read(path, as_version=4).cells): path for path in numbered(folder)}
    return {module: path for module, path in by_module.items() if module is not None}


def grade_all(
    submissions: Sequence[Path],
    root: Path,
    notebooks: Mapping[str, Path],
    *,
    executed: Path,
    seconds: float,
    side_by_side: int,
    on_graded: Callable[[Sequence[Grade]], None],
) -> list[Grade]:
    """Grade submissions, several at a time.

    Args:
        submissions: the notebooks.
        root: the folder they are in.
        notebooks: from `originals`.
        executed: a folder for the notebooks as they ran.
        seconds: after which a submission is ended.
        side_by_side: how many are executed at a time.
        on_graded: gets the grades of a submission, in the order of the submissions.
    """
    grades: list[Grade] = []
    running = _Running(namespaces=grants_namespaces())

    def one(path: Path) -> list[Grade]:
        return _grade(path, path.relative_to(root), notebooks, executed, seconds, running)

    with ThreadPoolExecutor(side_by_side) as pool:
        try:
            for found in pool.map(one, submissions):
                on_graded(found)
                grades += found
        except BaseException:
            running.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return grades


class _Running:
    """The processes of all submissions that are being executed.

    Args:
        namespaces: whether each may have a network of its own.
    """

    def __init__(self, namespaces: bool) -> None:
        self.namespaces = namespaces
        self._all: set[OwnProcesses] = set()
        self._stopped = False

    def add(self, processes: OwnProcesses) -> None:
        if self._stopped:
            raise InterruptedError("grading was stopped")
        self._all.add(processes)

    def discard(self, processes: OwnProcesses) -> None:
        self._all.discard(processes)

    def stop(self) -> None:
        """End all of them, and let no other begin."""
        self._stopped = True
        for processes in list(self._all):
            processes.stop()


def _grade(
    path: Path, name: Path, notebooks: Mapping[str, Path], executed: Path, seconds: float, running: _Running
) -> list[Grade]:
    token = secrets.token_hex(16)
    try:
        merged = merge(path, dict(notebooks), token)
    except InputError as error:
        return [Grade(str(name), "", "", "unreadable", str(error))]
    home = Path(tempfile.mkdtemp(prefix="fedlearn-grade-"))
    try:
        (home / "work").mkdir()
        events, in_time = _execute(merged, home, token, seconds, running)
        if (ran := home / "executed.ipynb").exists():
            target = executed / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ran, target)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    grades = _judge(str(name), merged, events, f"the time of {seconds:g} s was up" if not in_time else "")
    return [replace(grade, isolation=NAMESPACE if running.namespaces else GUARD) for grade in grades]


def _execute(
    merged: Merged, home: Path, token: str, seconds: float, running: _Running
) -> tuple[list[dict[str, Any]], bool]:
    """Execute a submission in a process group of its own; return what happened, and whether it ended in time."""
    job = {
        "notebook": str(home / "merged.ipynb"),
        "executed": str(home / "executed.ipynb"),
        "record": str(home / "record.jsonl"),
        "home": str(home / "work"),
        "token": token,
        "namespaces": running.namespaces,
    }
    nbformat.write(merged.notebook, job["notebook"])
    (home / "job.json").write_text(json.dumps(job))
    processes = OwnProcesses(grace=0)
    with folder_for_sockets() as sockets:
        environment = _environment(home) | sockets
        command = [sys.executable, "-P", "-m", "fedlearn_helpers.graded.isolation", str(home / "job.json")]
        running.add(processes)
        in_time = True
        try:
            processes.start(command, log=home / "log.txt", env=environment).wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            in_time = False
        finally:
            processes.stop()
            running.discard(processes)
    return list(_events(home / "record.jsonl")), in_time


def _environment(home: Path) -> dict[str, str]:
    """Return the environment of a submission: our package before all others, its own folders, no network."""
    import matplotlib

    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(_GUARD), str(_PACKAGE.parent)]),
        "FEDLEARN_NETWORK_LOG": str(home / "network.txt"),
        "FEDLEARN_CACHE": str(cache_folder()),
        "FLWR_TELEMETRY_ENABLED": "0",
        "MPLCONFIGDIR": matplotlib.get_cachedir(),  # or its fonts would be listed anew for every submission
        "HOME": str(home / "work"),
        "TMPDIR": str(home / "work"),
        "IPYTHONDIR": str(home / "work" / ".ipython"),
    }


def _events(record: Path) -> Iterable[dict[str, Any]]:
    for line in record.read_text(encoding="utf-8").splitlines() if record.exists() else []:
        try:
            yield json.loads(line)
        except ValueError:  # the last line, cut short
            continue


def _judge(name: str, merged: Merged, events: Sequence[Mapping[str, Any]], too_late: str) -> list[Grade]:
    """Turn what happened into a grade for every exercise."""
    number = merged.original.name[:2]
    happened = {what: [event for event in events if event["what"] == what] for what in ("network", "error", "verdict")}
    verdicts = {event["name"]: event for event in happened["verdict"]}
    last = next((event["cell"] for event in reversed(events) if event["what"] == "started"), None)
    finished = any(event["what"] == "finished" for event in events)
    where = _described(last, merged, number)
    remarks = _remarks(merged, happened, number)

    def status_of(exercise: ExerciseCells) -> tuple[str, str]:
        cells = (exercise.stub, exercise.check)
        if targets := [event["target"] for event in happened["network"] if event["cell"] in cells]:
            return "used the network", f"asked for {', '.join(targets)}"
        errors = [event["error"] for event in happened["error"] if event["cell"] in cells]
        if errors:
            return "crashed", errors[0]
        if exercise.name in verdicts:
            verdict = verdicts[exercise.name]
            if exercise.name in merged.missing:
                return "not attempted", "the cell of this exercise is missing"
            message = "" if verdict["status"] == "not attempted" else verdict["message"]
            return _SAID.get(verdict["status"], verdict["status"]), message
        if too_late:
            return "timed out", f"{too_late} in {where}"
        if not finished:
            return "crashed", f"the kernel died in {where}"
        return "crashed", "the check gave no verdict"

    return [
        Grade(name, f"{number}.{exercise.number}", exercise.name, *status_of(exercise), remarks)
        for exercise in merged.exercises
    ]


def _described(cell: str | None, merged: Merged, number: str) -> str:
    if cell is None:
        return "the start of the kernel"
    for exercise in merged.exercises:
        if cell in (exercise.stub, exercise.check):
            return f"exercise {number}.{exercise.number}"
    added = any(cell == of.id and is_answer(of) for of in merged.notebook.cells)
    return "a cell that was added" if added else f"the cell {cell!r} of the notebook"


def _remarks(merged: Merged, happened: Mapping[str, Sequence[Mapping[str, Any]]], number: str) -> str:
    """Say what went wrong outside the cells of exercises."""
    own = {cell for exercise in merged.exercises for cell in (exercise.stub, exercise.check)}
    remarks = [
        f"{_described(event['cell'], merged, number)} used the network: {event['target']}"
        for event in happened["network"]
        if event["cell"] not in own
    ]
    remarks += [
        f"{_described(event['cell'], merged, number)} raised {event['error']}"
        for event in happened["error"]
        if event["cell"] not in own
    ]
    return "; ".join(remarks)

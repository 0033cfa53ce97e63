"""Grading: every submission is executed for itself, and each of its exercises gets a status."""

import json
import os
import secrets
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import nbformat

import fedlearn_helpers
from fedlearn_helpers.data.cache import cache_folder
from fedlearn_helpers.deployment.processes import OwnProcesses
from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.simulation.workers import cores
from workbook_tools.editions.graded.cells import find_exercises, read_unused
from workbook_tools.execution.content import content_of, data_sets
from workbook_tools.execution.kernels import folder_for_sockets
from workbook_tools.execution.notebooks import of_the_workbook
from workbook_tools.grading.handed_in import HandIn
from workbook_tools.grading.isolation import GUARD, NAMESPACE, grants_namespaces
from workbook_tools.grading.judgement import Execution, Grade, judge
from workbook_tools.grading.kept import KeptGrades
from workbook_tools.grading.submission import Merged, merge

_PACKAGE = Path(fedlearn_helpers.__file__).parent
_GUARD = Path(__file__).with_name("no_network")
EXECUTED, KEPT = "executed", "kept"


def originals(folder: Path) -> dict[str, Path]:
    """Return the workbook's notebooks with exercises, by lesson.

    Raises:
        InputError: no notebooks, one with an answer in it, or the package here is an edition without solutions.
    """
    from fedlearn_helpers.lessons.common.exercise import Exercise
    from workbook_tools.editions.graded.edition import exercise_modules

    for exercises in exercise_modules():
        if any(isinstance(value, Exercise) and value.test is None for value in vars(exercises).values()):
            raise InputError("fedlearn grade needs the workbook itself, got its edition for graded work, without tests")
    return {path.stem[3:]: path for path in of_the_workbook(folder) if find_exercises(read_unused(path))}


def grade_all(
    submissions: Sequence[HandIn],
    notebooks: Mapping[str, Path],
    *,
    output: Path,
    seconds: float,
    in_parallel: int,
    on_graded: Callable[[Sequence[Grade]], None],
) -> list[Grade]:
    """Grade submissions, several at a time.

    Args:
        submissions: what was handed in.
        notebooks: from `originals`.
        output: a folder for the notebooks as they ran (`executed`) and for the grades (`kept`): what is graded in there
            already is not executed again.
        seconds: after which a submission is ended.
        in_parallel: how many are executed at a time. Each may use its share of the cores.
        on_graded: gets the grades of a submission, in the order of the submissions.
    """
    grades: list[Grade] = []
    running = _Running(namespaces=grants_namespaces())
    grading = _Grading(
        notebooks, output / EXECUTED, KeptGrades(output / KEPT), seconds, max(1, cores() // in_parallel), running
    )

    def one(submission: HandIn) -> list[Grade]:
        try:
            return grading.grade(submission.path, submission.name)
        except InterruptedError:
            raise
        except Exception as error:  # one submission must not take the others' grades with it
            return [Grade(submission.name, "", "", "not executed", one_line(error))]

    with ThreadPoolExecutor(in_parallel) as pool:
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
        self._stopped, self._lock = False, Lock()

    def add(self, processes: OwnProcesses) -> None:
        with self._lock:
            self.refuse_if_stopped()
            self._all.add(processes)

    def refuse_if_stopped(self) -> None:
        if self._stopped:
            raise InterruptedError("grading was stopped")

    def discard(self, processes: OwnProcesses) -> None:
        with self._lock:
            self._all.discard(processes)

    def stop(self) -> None:
        """End all of them, and let no other begin."""
        with self._lock:
            self._stopped = True
            left = list(self._all)
        for processes in left:
            processes.stop()


@dataclass(frozen=True)
class _Grading:
    """How submissions are graded; the attributes are as in `grade_all`, and `workers` is for each."""

    notebooks: Mapping[str, Path]
    executed: Path
    kept: KeptGrades
    seconds: float
    workers: int
    running: _Running
    content: dict[Path, str] = field(default_factory=dict)  # of the data of each notebook that was asked for

    def grade(self, path: Path, name: str) -> list[Grade]:
        """Return the grades of a submission, kept or new."""
        token = secrets.token_hex(16)
        try:
            merged = merge(path, self.notebooks, token, self.workers)
        except InputError as error:
            return [Grade(name, "", "", "unreadable", str(error))]
        isolation = NAMESPACE if self.running.namespaces else GUARD
        decisive = (path.read_bytes(), merged.original.read_bytes(), isolation, self._content(merged.original))
        if (known := self.kept.read(name, decisive)) is not None:
            return known
        target = self.executed / (name if name.lower().endswith(".ipynb") else f"{name}.ipynb")
        target.unlink(missing_ok=True)
        home = Path(tempfile.mkdtemp(prefix="fedlearn-grade-"))
        try:
            (home / "work").mkdir()
            execution = self._execute(merged, home, token)
            if (ran := home / "executed.ipynb").exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ran, target)
        finally:
            shutil.rmtree(home, ignore_errors=True)
        self.running.refuse_if_stopped()  # what was ended half-way has no grade
        grades = judge(name, merged, execution, isolation)
        self.kept.write(name, decisive, grades)
        return grades

    def _content(self, original: Path) -> str:
        """Return a hash of the data that a notebook of ours uses, which may change under the same name."""
        if original not in self.content:
            (name,) = data_sets(original, [{}])
            self.content[original] = content_of([name])[name]
        return self.content[original]

    def _execute(self, merged: Merged, home: Path, token: str) -> Execution:
        """Execute a submission in a process group of its own."""
        job = {
            "notebook": str(home / "merged.ipynb"),
            "executed": str(home / "executed.ipynb"),
            "record": str(home / "record.jsonl"),
            "home": str(home / "work"),
            "token": token,
            "seconds": self.seconds,
            "namespaces": self.running.namespaces,
        }
        nbformat.write(merged.notebook, job["notebook"])
        (home / "job.json").write_text(json.dumps(job))
        processes, log = OwnProcesses(grace=0), home / "log.txt"
        too_late = ""
        with folder_for_sockets() as sockets:
            environment = _environment(home) | sockets
            command = [sys.executable, "-P", "-m", "workbook_tools.grading.isolation", str(home / "job.json")]
            self.running.add(processes)
            try:
                processes.start(command, log=log, env=environment).wait(timeout=self.seconds)
            except subprocess.TimeoutExpired:
                too_late = f"the time of {self.seconds:g} s was up"
            finally:
                processes.stop()
                self.running.discard(processes)
        said = log.read_text(errors="replace").split("\n") if log.exists() else []
        last_words = next((line for line in reversed(said) if line.strip()), "nothing was said")
        return Execution(list(_events(home / "record.jsonl")), too_late, last_words)


def _environment(home: Path) -> dict[str, str]:
    """Return the environment of a submission: our package before all others, its own folders, no network."""
    import matplotlib

    data = os.environ.get("FEDLEARN_DATA")
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(_GUARD), str(_PACKAGE.parent)]),
        "FEDLEARN_NETWORK_LOG": str(home / "network.txt"),
        "FEDLEARN_CACHE": str(cache_folder().absolute()),
        "FEDLEARN_DATA": str(Path(data).expanduser().absolute()) if data else "",
        "FLWR_TELEMETRY_ENABLED": "0",
        "MPLCONFIGDIR": matplotlib.get_cachedir(),  # or its fonts would be listed anew for every submission
        "PYTHONUSERBASE": site.getuserbase(),  # what the user has installed for herself lies below her HOME
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

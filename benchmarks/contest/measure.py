"""Run a command in a process tree of its own, and measure its wall time and its memory.

Linux only: memory is read from /proc. Every process below this one is taken for the command's, so
nothing else may be started meanwhile.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

SECONDS_BETWEEN_SAMPLES = 0.5
_LARGEST_SAMPLING_SHARE = 0.02
_SECONDS_TO_LEAVE = 5
_SECONDS_UNTIL_STALE = 5
_PAGES_OF_CHANGE = 256  # 1 MiB
_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36
_LIBC = ctypes.CDLL(None)


@dataclass(frozen=True)
class Measurement:
    """What a command took.

    Attributes:
        begin, end: `time.monotonic()` when it was started and when it had ended.
        peak_pss_mb: highest sum over all its processes of the proportional set size, in 10^6
            bytes: memory that n processes share counts 1/n in each, so once in the sum.
        peak_processes: number of processes at that moment.
        failure: None, or why it did not end well.
    """

    begin: float
    end: float
    peak_pss_mb: float
    peak_processes: int
    failure: str | None

    @property
    def seconds(self) -> float:
        """Wall time from the start of its first process to that process's end."""
        return self.end - self.begin


def measure(
    command: list[str], *, environment: dict[str, str], log: Path, timeout: float, on_sample: Callable[[float], None]
) -> Measurement:
    """Run the command to its end, and leave none of its processes behind, whatever happens.

    Args:
        command: program and arguments.
        environment: all its environment variables.
        log: file for what it prints.
        timeout: seconds after which it is stopped.
        on_sample: called with the seconds so far, once or twice a second.
    """
    memory, failure = _Memory(), None
    with _all_processes_end(), log.open("wb") as output:
        begin = time.monotonic()
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C comes to this process alone, which then stops the tree in order
            preexec_fn=_end_with(os.getpid()),
        )
        while _still_runs(process, memory.pause):
            memory.sample()
            elapsed = time.monotonic() - begin
            if elapsed > timeout:
                failure = f"stopped after {timeout:.0f} s"
                break
            on_sample(elapsed)
        end = time.monotonic()
    if failure is None and process.returncode != 0:
        failure = f"exit code {process.returncode}: {_last_line(log)}"
    return Measurement(
        begin=begin,
        end=end,
        peak_pss_mb=memory.peak_kb * 1024 / 1e6,
        peak_processes=memory.peak_processes,
        failure=failure,
    )


class _Memory:
    """Samples the memory of all processes below this one and keeps the highest sum.

    The kernel walks through all pages of a process to compute its PSS, 10 ms where PyTorch is
    loaded. So that measuring does not slow down whoever has the most processes, PSS is read again
    only where the resident size, which costs nothing, has changed, or after some seconds; and
    where many processes change at once the samples come less often.
    """

    def __init__(self) -> None:
        self.peak_kb = self.peak_processes = 0
        self.pause = SECONDS_BETWEEN_SAMPLES
        self._known: dict[int, tuple[int, float, int]] = {}  # by pid: resident pages, time and PSS of the last reading

    def sample(self) -> None:
        """Take one sample."""
        start = time.monotonic()
        pids = [process.pid for process in psutil.Process().children(recursive=True)]
        total = sum(self._pss(pid, start) for pid in pids)
        if total > self.peak_kb:
            self.peak_kb, self.peak_processes = total, len(pids)
        spent = time.monotonic() - start
        self.pause = max(SECONDS_BETWEEN_SAMPLES, spent / _LARGEST_SAMPLING_SHARE)

    def _pss(self, pid: int, now: float) -> int:
        resident = _resident_pages(pid)
        before, when, pss = self._known.get(pid, (0, 0.0, 0))
        if abs(resident - before) >= _PAGES_OF_CHANGE or now - when > _SECONDS_UNTIL_STALE:
            pss = _kilobytes(pid, "smaps_rollup", "Pss:")
            self._known[pid] = (resident, now, pss)
        return pss


def _still_runs(process: subprocess.Popen, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def _resident_pages(pid: int) -> int:
    """Return the resident set size; 0 for a process that is ending."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0


def _kilobytes(pid: int, file_name: str, field: str) -> int:
    """Read one field of a process's /proc file; 0 for a process that is ending."""
    try:
        with open(f"/proc/{pid}/{file_name}") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(field)), 0)
    except OSError:
        return 0


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "it printed nothing"


@contextmanager
def _all_processes_end() -> Iterator[None]:
    """End every process below this one when the block ends, also those that their own parents have left.

    Ray's daemons can outlive the process that started them; as "child subreaper" this process
    becomes the parent of such orphans, and so finds them.
    """
    _LIBC.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        with _uninterrupted():
            _end(psutil.Process().children(), psutil.Process.terminate)
            while left := psutil.Process().children(recursive=True):
                _end(left, psutil.Process.kill)


def _end(processes: list[psutil.Process], how: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        try:
            how(process)
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs(processes, timeout=_SECONDS_TO_LEAVE)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore further Ctrl-C while processes are being ended."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_with(parent: int) -> Callable[[], None]:
    """Return what makes a new process end when `parent` is killed and cannot end it itself."""

    def in_the_child() -> None:
        _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return in_the_child

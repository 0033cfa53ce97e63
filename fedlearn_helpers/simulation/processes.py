"""What Linux and the C libraries have to be asked before, in and after a fork."""

import contextlib
import ctypes
import os
import re
import signal
import time
from pathlib import Path

_OPENMP = re.compile(r"lib(gomp|omp|iomp)\d*\b[^/]*$")  # GCC's, LLVM's, Intel's


def pause_openmp() -> None:
    """End the threads of every OpenMP library in this process; its next parallel loop starts new ones.

    PyTorch, scikit-learn and XGBoost bring one each. A fork would copy the list of threads without the threads, and the
    first parallel loop in it would wait for them for ever.
    """
    softly = 1  # keep what can be kept
    mapped = (line.split(maxsplit=5)[5:] for line in Path("/proc/self/maps").read_text().splitlines())
    for path in sorted({path for fields in mapped for path in fields if _OPENMP.search(path)}):
        with contextlib.suppress(OSError, AttributeError):  # the file was replaced, or is older than OpenMP 5
            ctypes.CDLL(path).omp_pause_resource_all(softly)


def processor_time(pid: int) -> float:
    """Return the clock ticks a process and its children have used; a number that grows where the system hides them."""
    try:
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return time.monotonic()
    return sum(map(int, times)) + sum(processor_time(int(child)) for child in children)


def end_with(parent: int) -> None:
    """Leave interrupts to the parent of this process, and end when it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # it died between the fork and the line above
        os._exit(0)

"""A program that executes one merged submission, shut off from the network, and writes down what happens.

`python -m workbook_tools.grading.isolation JOB` is started in a process group of its own by `grade`, which ends it
when the time is up. What the submission's cells do to it can at most spoil its own result.
"""

import contextlib
import copy
import ctypes
import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

NAMESPACE = "a network of its own with nothing in it (Linux namespaces), and a guard in Python"
GUARD = (
    "a guard in Python only: programs in other languages are not held back, because this system grants no namespaces"
)
_NEW_USER, _NEW_PID, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_PROBE = "--probe"
_PR_SET_PDEATHSIG = 1
_SIOCSIFFLAGS, _IFF_UP_AND_RUNNING = 0x8914, 0x41
_MOST_OUTPUT = 5_000_000  # characters, of figures too; an endless loop that prints would fill the memory


def grants_namespaces() -> bool:
    """Return whether this system lets a program have a network of its own."""
    command = [sys.executable, "-m", "workbook_tools.grading.isolation", _PROBE]
    return sys.platform == "linux" and subprocess.run(command, capture_output=True, check=False).returncode == 0


def _leave_network() -> None:
    """Move this process into a network without a way out, and into a group of processes that ends as a whole.

    For this, what follows runs in a child of the process that called.

    Raises:
        OSError: the system does not grant it.
    """
    import fcntl

    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_NEW_NETWORK | _NEW_PID) != 0:
        if libc.unshare(_NEW_USER | _NEW_NETWORK | _NEW_PID) != 0:
            raise OSError(ctypes.get_errno(), "no namespaces")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) % 256)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:  # 127.0.0.1 works, for simulations
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", _IFF_UP_AND_RUNNING, b""))


class _Record:
    """A file with a line of JSON for everything that happened, readable up to the moment of a sudden end."""

    def __init__(self, path: Path, network_log: Path) -> None:
        self._path, self._network_log, self._attempts = path, network_log, 0

    def add(self, what: str, **facts: Any) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what} | facts) + "\n")

    def add_attempts(self, cell: str) -> None:
        """Note the attempts to use the network since the last call as those of a cell."""
        attempts = self._network_log.read_text(errors="replace").splitlines() if self._network_log.exists() else []
        for target in list(dict.fromkeys(attempts[self._attempts :])):
            self.add("network", cell=cell, target=target)
        self._attempts = len(attempts)


def _execute(job: dict[str, Any], record: _Record) -> None:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import DeadKernelError

    from workbook_tools.execution.kernels import SocketKernelManager
    from workbook_tools.grading.verdict import MEDIA_TYPE

    class Client(NotebookClient):
        written = 0

        def output(self, outs: list, msg: dict, display_id: str | None, cell_index: int) -> Any:
            data = msg["content"].get("data", {})
            if MEDIA_TYPE in data:
                if data[MEDIA_TYPE].get("token") == job["token"]:
                    record.add("verdict", **data[MEDIA_TYPE])
                return None
            self.written += len(str(msg["content"]))
            if self.written < _MOST_OUTPUT or msg["msg_type"] == "error":
                return super().output(outs, msg, display_id, cell_index)
            return None

    notebook = nbformat.read(job["notebook"], as_version=4)
    client = Client(
        notebook,
        km=SocketKernelManager(kernel_name="python3"),
        allow_errors=True,
        timeout=None,
        startup_timeout=math.ceil(job["seconds"]),
        resources={"metadata": {"path": job["home"]}},
        extra_arguments=["--IPKernelApp.log_level=50"],
    )
    try:
        with client.setup_kernel():
            for position, cell in enumerate(notebook.cells):
                if cell.cell_type != "code":
                    continue
                record.add("started", cell=cell.id)
                client.execute_cell(cell, position)
                record.add_attempts(cell.id)
                for output in cell.outputs:
                    if output.output_type == "error":
                        record.add("error", cell=cell.id, error=f"{output.ename}: {output.evalue}"[:500])
                _keep(notebook, job["executed"])
        record.add("finished")
    except DeadKernelError:
        record.add_attempts(cell.id)
        record.add("died", cell=cell.id)
        _keep(notebook, job["executed"])


def _keep(notebook: Any, path: str) -> None:
    """Write the notebook as far as it has come, at once: this program may be killed at any time.

    What was put in to check is of no interest to whoever looks at it.
    """
    import nbformat

    shown = copy.deepcopy(notebook)
    for cell in shown.cells:
        if "check" in cell.metadata.get("tags", []):
            cell.source = "# the check of the workbook"
    unfinished = f"{path}.part"
    nbformat.write(shown, unfinished)
    os.replace(unfinished, path)


def main(argument: str) -> None:
    """Execute what a job file describes, or only try to leave the network."""
    if argument == _PROBE:
        _leave_network()
        return
    job = json.loads(Path(argument).read_text())
    with contextlib.suppress(OSError):  # where memory runs out, the system ends this, and not what runs beside it
        Path("/proc/self/oom_score_adj").write_text("1000")
    if job["namespaces"]:
        _leave_network()
    os.chdir(job["home"])
    _execute(job, _Record(Path(job["record"]), Path(os.environ["FEDLEARN_NETWORK_LOG"])))


if __name__ == "__main__":
    main(sys.argv[1])

"""Kernels that talk over files instead of network ports.

Several that start at once cannot take each other's port, and they work where there is no network at all.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from jupyter_client.manager import AsyncKernelManager
from jupyter_core.paths import jupyter_runtime_dir
from traitlets import default

RUNTIME_VARIABLE = "JUPYTER_RUNTIME_DIR"


class QuietKernelManager(AsyncKernelManager):
    """Starts kernels on sockets in the file system, where the system has them."""

    @default("transport")
    def _default_transport(self) -> str:
        return "tcp" if sys.platform == "win32" else "ipc"

    @default("connection_file")
    def _default_connection_file(self) -> str:
        """Name the file, after which the sockets are named, or two kernels would share theirs."""
        return str(Path(jupyter_runtime_dir(), f"{uuid4().hex[:12]}.json"))


@contextmanager
def short_runtime_folder() -> Iterator[dict[str, str]]:
    """Yield what to add to a process's environment: a new folder for its kernels' sockets, removed at the end.

    The path of a socket may have about 100 characters, and folders for temporary files are deep on some systems.
    """
    parent = "/tmp" if Path("/tmp").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fedlearn-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield {RUNTIME_VARIABLE: folder}

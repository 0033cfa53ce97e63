"""Kernels that talk over files instead of network ports, for programs that start several.

Two that start at once cannot take each other's port, and they work where there is no network at all.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from jupyter_client.manager import AsyncKernelManager
from traitlets import default

_FOLDER = "FEDLEARN_SOCKETS"  # an environment variable, for the processes that start the kernels


class SocketKernelManager(AsyncKernelManager):
    """Starts a kernel on sockets in the folder of `folder_for_sockets`; where there is none, on network ports."""

    @default("transport")
    def _default_transport(self) -> str:
        return "ipc" if _FOLDER in os.environ and sys.platform != "win32" else "tcp"

    @default("connection_file")
    def _default_connection_file(self) -> str:
        """Name the file, after which the sockets are named, or two kernels would share theirs."""
        folder = os.environ.get(_FOLDER)
        return "" if folder is None else str(Path(folder, f"{uuid4().hex[:12]}.json"))


@contextmanager
def folder_for_sockets() -> Iterator[dict[str, str]]:
    """Yield what to add to a process's environment: a new folder for its kernels' sockets, removed at the end.

    The path of a socket may have about 100 characters, and folders for temporary files are deep on some systems.
    """
    parent = "/tmp" if Path("/tmp").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fedlearn-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield {_FOLDER: folder}

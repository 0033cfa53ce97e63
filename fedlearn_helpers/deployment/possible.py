"""Whether a deployment is possible on this machine at all."""

import os
import shutil
import socket
import subprocess
import sysconfig
from pathlib import Path

PROGRAMS = ("flwr", "flower-superlink", "flower-supernode")


def why_not() -> str | None:
    """Return in one sentence why Flower's programs cannot be started on this machine; None if they can."""
    if os.name != "posix":
        return "Flower's programs are started and ended with the means of Linux and macOS, which this machine lacks"
    paths = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    missing = [program for program in PROGRAMS if shutil.which(program, path=paths) is None]
    if missing:
        return f"Flower's programs are missing here: {', '.join(missing)}; pip install flwr brings them"
    try:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            with socket.create_connection(server.getsockname(), timeout=5):
                pass
    except OSError as error:
        return f"programs on this machine may not talk over a port of 127.0.0.1 ({error.strerror or error})"
    try:
        subprocess.run([shutil.which("true") or "true"], check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        return f"no process can be started on this machine ({error})"
    return None


def find_app() -> Path | None:
    """Return the folder of the workbook's Flower app; None where the package is installed without the workbook."""
    folder = Path(__file__).parents[2] / "flower_app"
    return folder if (folder / "pyproject.toml").is_file() else None

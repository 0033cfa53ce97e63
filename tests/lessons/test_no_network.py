"""A notebook that asks the network for something fails its tests, whatever becomes of the request."""

from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from lesson import execute
from nbformat.v4 import new_code_cell, new_notebook

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
# Every way hides its failure. Addresses and names are those set aside for examples.
ASKING = {
    "example.com": "import urllib.request; urllib.request.urlopen('http://example.com/data')",
    "example.org": "import socket; socket.getaddrinfo('example.org', 443)",
    "192.0.2.1:80": "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)",
    "192.0.2.2:53": "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'?', ('192.0.2.2', 53))",
    "example.net": "import subprocess, sys; subprocess.run("
    "[sys.executable, '-c', 'import socket; socket.gethostbyname(\"example.net\")'], stderr=-3)",
    "telemetry.flower.ai": "from flwr.supercore.telemetry import EventType, event; event(EventType.PING).result()",
}
LOCAL = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname())
socket.getaddrinfo("localhost", 80)
import pathlib
pathlib.Path("results").mkdir()
pathlib.Path("results", "results.json").write_text("{}")
"""


def run(folder: Path, *cells: str) -> None:
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=KERNEL)
    nbformat.write(notebook, folder / "source.ipynb")
    execute(SimpleNamespace(path=Path("executed.ipynb")), folder, source=folder / "source.ipynb")


@pytest.mark.notebook
def test_whatever_a_notebook_asks_for_is_found(tmp_path, network_log, monkeypatch):
    monkeypatch.setenv("FLWR_HOME", str(tmp_path))  # telemetry leaves a file there
    run(tmp_path, *(f"try:\n    {code}\nexcept Exception:\n    pass" for code in ASKING.values()), LOCAL)
    assert list(dict.fromkeys(network_log.take())) == list(ASKING)  # or the check after every test would find it

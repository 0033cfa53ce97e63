"""JupyterLab in Chromium, on copies of the notebooks, each opened and run once."""

import importlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from no_network import NetworkLog
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from places import LESSONS, NOTEBOOKS, WIDTH

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "the browser tests need Chromium and Playwright: apt-get install chromium; pip install playwright"
TOKEN = "token"
HEIGHT = 900
_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
_SETTINGS = {  # no news pop-up over the page; all cells in the page, not only those in view
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
_SECONDS_TO_START = 60
_MILLISECONDS_TO_RUN = 240_000


class Lab(NamedTuple):
    """A running JupyterLab, and what it and its kernels ask the network for."""

    address: str
    root: Path
    network: NetworkLog


@pytest.fixture(scope="session")
def browser():
    """Chromium; every test is skipped where it is missing."""
    if CHROMIUM is None:
        pytest.skip(MISSING)
    playwright = pytest.importorskip("playwright.sync_api", reason=MISSING)
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=_FLAGS.split())
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def expect(browser):
    """Playwright's assertions, which wait until they are true."""
    from playwright.sync_api import expect

    return expect


@pytest.fixture(scope="session", params=["jupyterlab"])
def lab(browser, tmp_path_factory):
    """A JupyterLab of its own, with the notebooks at its root, with the parameters with which they run quickly."""
    folder = tmp_path_factory.mktemp("lab")
    root = folder / "root"
    shutil.copytree(NOTEBOOKS, root, ignore=shutil.ignore_patterns("results", ".ipynb_checkpoints"))
    for name, parameters in _small().items():
        path = root / f"{name}.ipynb"
        nbformat.write(parameterize_notebook(load_notebook_node(str(path)), parameters), path)
    for name, settings in _SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
    }
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"]
    log, network = folder / "lab.log", NetworkLog(folder / "asked.txt")
    with log.open("w") as output:
        server = subprocess.Popen(
            [*command, f"--ServerApp.root_dir={root}"],
            env=network.environment() | {name: str(folder / value) for name, value in own.items()},
            stdout=output,
            stderr=output,
        )
    try:
        _wait_until_up(server, port, log)
        yield Lab(f"http://127.0.0.1:{port}", root, network)
    finally:
        server.terminate()  # its kernels end with it
        server.wait(30)


@pytest.fixture(scope="session")
def opened(browser, lab, expect):
    """A function: the page of a notebook, opened and run from top to bottom at its first use."""
    pages = {}

    def open_and_run(name):
        if name not in pages:
            pages[name] = _open(browser, lab, f"{name}.ipynb")
            _run_all(pages[name], expect)
        return pages[name]

    yield open_and_run
    for page in pages.values():
        page.context.close()


def _small():
    """The small parameters by notebook, as the lessons' test files name them."""
    sys.path.insert(0, str(LESSONS))
    try:
        return {name: lesson.small for name, lesson in importlib.import_module("lesson").all_lessons().items()}
    finally:
        sys.path.remove(str(LESSONS))


def _wait_until_up(server, port, log):
    end = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status?token={TOKEN}", timeout=1)
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def _open(browser, lab, path):
    """Open a notebook and wait until its kernel listens."""
    page = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}).new_page()
    page.set_default_timeout(30_000)
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda line: page.errors.append(line.text) if line.type == "error" else None)
    page.goto(f"{lab.address}/lab/tree/{path}?token={TOKEN}&reset")
    page.locator(".jp-Notebook").wait_for()
    end = time.monotonic() + _SECONDS_TO_START
    while not _kernel_is_ready(lab, path):
        assert time.monotonic() < end, "the kernel did not start"
        page.wait_for_timeout(200)
    return page


def _kernel_is_ready(lab, path):
    """The status says idle before the page is connected, so ask for both."""
    with urllib.request.urlopen(f"{lab.address}/api/sessions?token={TOKEN}") as answer:
        kernels = [session["kernel"] for session in json.load(answer) if session["path"] == path]
    return any(kernel["execution_state"] == "idle" and kernel["connections"] for kernel in kernels)


def _run_all(page, expect):
    """Run all cells; the last one of every notebook says where it has written its results."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    last = page.locator(".jp-CodeCell").last
    expect(last.locator(".jp-OutputArea-output")).to_have_text(re.compile("Written to"), timeout=_MILLISECONDS_TO_RUN)

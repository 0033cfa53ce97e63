"""The notebooks as static pages, as `fedlearn run` renders them."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import NOTEBOOKS, WIDTH

NAMES = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
SMALL = ["num_rounds=2", "local_steps=2", "epochs=2", "batch_size=200", "num_clients=6"]


@pytest.fixture(scope="session")
def rendered(browser, tmp_path_factory):
    """The folder with a page per notebook, executed with small parameters."""
    folder = tmp_path_factory.mktemp("pages")
    options = [part for parameter in SMALL for part in ("-p", parameter)]
    command = [str(Path(sys.executable).with_name("fedlearn")), "run", "--output", str(folder), *options]
    subprocess.run(command, cwd=NOTEBOOKS.parent, check=True, capture_output=True, timeout=600)
    return folder


@pytest.mark.parametrize("name", [*NAMES, "index"])
def test_axe_finds_no_serious_violation(browser, rendered, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    page = browser.new_page(viewport={"width": WIDTH, "height": 900})
    try:
        page.route("http*://**", lambda route: route.abort())  # no network: at once, not after a time-out
        page.goto((rendered / f"{name}.html").as_uri())
        found = axe.Axe().run(page).response["violations"]
    finally:
        page.close()
    serious = [entry for entry in found if entry["impact"] in ("serious", "critical")]
    assert [(entry["id"], node["html"][:200]) for entry in serious for node in entry["nodes"]] == []

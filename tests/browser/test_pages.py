"""The notebooks as static pages: saved by JupyterLab, rendered as `fedlearn run` does."""

import contextlib
import re

import nbformat
import pytest
from places import NOTEBOOKS, WIDTH

from workbook_tools.commands import run
from workbook_tools.execution.notebooks import render

pytestmark = pytest.mark.browser
NAMES = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]


@pytest.fixture(scope="session")
def rendered(opened, lab, tmp_path_factory):
    """A function: the page of a notebook that was run in JupyterLab, of the glossary, or of the index."""
    folder, executed = tmp_path_factory.mktemp("pages"), tmp_path_factory.mktemp("executed")

    def page_of(name):
        if name == "index":
            ran = nbformat.v4.new_notebook(metadata={"papermill": {"duration": 1.0}})
            for name in NAMES:
                nbformat.write(ran, executed / f"{name}.ipynb")
            return run._write_index(executed)
        path = lab.root / f"{name}.ipynb"
        if name in NAMES:
            save(opened(name), path)
        render(path, folder / f"{name}.html")
        return folder / f"{name}.html"

    return page_of


def save(page, path):
    """Let JupyterLab save the notebook, and wait until the file has the outputs."""
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Save Notebook(?! As)")).click()
    for _ in range(100):
        page.wait_for_timeout(100)
        with contextlib.suppress(ValueError):  # half of the file is written
            if nbformat.read(path, as_version=4).cells[-1].outputs:
                return
    raise AssertionError(f"{path.name} was not saved")


@pytest.mark.parametrize("name", [*NAMES, "glossary", "index"])
def test_axe_finds_no_serious_violation(browser, rendered, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    page = browser.new_page(viewport={"width": WIDTH, "height": 900})
    try:
        page.route("http*://**", lambda route: route.abort())  # no network: at once, not after a time-out
        page.goto(rendered(name).as_uri())
        found = axe.Axe().run(page).response["violations"]
    finally:
        page.close()
    serious = [entry for entry in found if entry["impact"] in ("serious", "critical")]
    assert [(entry["id"], node["html"][:200]) for entry in serious for node in entry["nodes"]] == []

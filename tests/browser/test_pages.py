"""The notebooks as static pages: saved by JupyterLab, rendered as `fedlearn run` does."""

import functools
import re

import nbformat
import pytest
from formulas_in import formulas_in
from in_browser import OVERFLOWING, PHONE
from places import NOTEBOOKS, WIDTH

from workbook_tools.commands import run
from workbook_tools.execution.rendering import render

pytestmark = pytest.mark.browser
NAMES = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9w][0-9]_*.ipynb"))]
every_page = pytest.mark.parametrize("name", [*NAMES, "glossary", "index"])
every_notebook = pytest.mark.parametrize("name", NAMES)
with_a_widget = pytest.mark.parametrize("name", [name for name in NAMES if name[0].isdigit()])  # a wrap-up has none

# Every formula's size, with all folds open, and 0 by 0 for one that the browser does not draw as a formula.
_FORMULAS = """() => {
    document.querySelectorAll('details').forEach(fold => fold.open = true);
    return [...document.querySelectorAll('math')].map(formula => {
        const box = formula.getBoundingClientRect();
        const drawn = getComputedStyle(formula).display.includes('math');
        return drawn ? [box.width, box.height] : [0, 0];
    });
}"""
# What is wider than its box, and cannot be scrolled.
_CUT_OFF = """() => [...document.querySelectorAll('main *')]
    .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0)
    .filter(e => ['hidden', 'clip'].includes(getComputedStyle(e).overflowX))
    .map(e => e.outerHTML.slice(0, 200))
"""
# What looks like a formula in LaTeX, outside code and what code has printed.
_LATEX = """() => {
    const text = document.body.cloneNode(true);
    text.querySelectorAll('pre, code, script, style').forEach(element => element.remove());
    return text.textContent.match(/\\$[^$]+\\$|\\\\[a-zA-Z([]/g) || [];
}"""


@pytest.fixture(scope="session")
def rendered(opened, lab, tmp_path_factory):
    """A function: the page of a notebook that was run in JupyterLab, of the glossary, or of the index."""
    folder, executed = tmp_path_factory.mktemp("pages"), tmp_path_factory.mktemp("executed")

    @functools.cache
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
    """Let JupyterLab save the notebook, and wait until the server has written the file with the outputs."""

    def written(response):
        return response.request.method == "PUT" and response.url.split("?")[0].endswith(path.name)

    page.get_by_role("menuitem", name="File", exact=True).click()
    with page.expect_response(written):  # the file may have outputs before, and be half written: of an autosave
        page.get_by_role("menuitem", name=re.compile("^Save Notebook(?! As)")).click()
    assert nbformat.read(path, as_version=4).cells[-1].outputs, f"{path.name} was saved without outputs"


@pytest.fixture
def visit(browser):
    """A function: a page from the file system, without a network; `asked` has what it wanted all the same."""
    pages = []

    def refuse(route):
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            pages[-1].asked.append(route.request.url)
            route.abort()

    def open_page(path, width=WIDTH):
        pages.append(browser.new_page(viewport={"width": width, "height": 900}))
        pages[-1].asked = []
        pages[-1].route("**", refuse)
        pages[-1].goto(path.as_uri())  # idle alone can be before all of a long page is read
        pages[-1].wait_for_load_state("networkidle")
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


@every_page
def test_every_formula_is_drawn_without_a_network(visit, rendered, name):
    page = visit(rendered(name))
    sizes = page.evaluate(_FORMULAS)
    assert len(sizes) == (0 if name == "index" else len(formulas_in(NOTEBOOKS / f"{name}.ipynb")))
    assert [size for size in sizes if min(size) < 4] == []
    assert page.evaluate(_LATEX) == []
    assert page.asked == []


def test_what_a_page_would_fetch_and_what_it_does_not_draw_is_found(visit, tmp_path):
    """So that the test before this one cannot pass for nothing."""
    (tmp_path / "page.html").write_text(
        '<script src="https://example.com/a.js"></script><style>@import "https://example.com/b.css";</style>'
        '<img src="http://192.0.2.1/c.png"><p>$x$ \\(y\\) <code>$z$</code></p>'
        '<math style="display: none"><mi>x</mi></math>'
        "<details><summary>Why?</summary><math><mi>x</mi></math></details>"
    )
    page = visit(tmp_path / "page.html")
    expected = ["http://192.0.2.1/c.png", "https://example.com/a.js", "https://example.com/b.css"]
    assert sorted(page.asked) == expected
    assert page.evaluate(_LATEX) == ["$x$", "\\("]
    hidden, folded = page.evaluate(_FORMULAS)
    assert hidden == [0, 0] and min(folded) > 4


@with_a_widget
def test_a_widget_is_there_as_figures(visit, rendered, name):
    page = visit(rendered(name))
    places = page.locator(".jp-OutputArea-output:has(.only-live)")
    assert places.count() >= 1
    for place in places.all():
        figures = place.locator("figure")
        assert 2 <= figures.count() <= 3
        for figure in figures.all():
            assert ": " in figure.locator("figcaption").inner_text()
        drawn = place.locator("img").evaluate_all("all => all.map(e => [e.naturalWidth, e.clientWidth, e.alt.length])")
        assert drawn and all(natural > 100 and shown > 100 and alt > 40 for natural, shown, alt in drawn)


@every_page
def test_on_a_phone_nothing_is_wider_than_the_page(visit, rendered, name):
    page = visit(rendered(name), width=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE
    assert page.evaluate(OVERFLOWING) == []
    assert page.evaluate(_CUT_OFF) == []


@pytest.mark.parametrize("width", [PHONE, WIDTH])
def test_the_number_of_a_cell_that_ran_again_and_again_is_whole(visit, tmp_path, width):
    outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "1"}, execution_count=1000)]
    cell = nbformat.v4.new_code_cell("1", execution_count=1000, outputs=outputs)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "again.ipynb")
    render(tmp_path / "again.ipynb", tmp_path / "again.html")
    assert visit(tmp_path / "again.html", width=width).evaluate(_CUT_OFF) == []


@every_page
def test_axe_finds_no_serious_violation(visit, rendered, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    found = axe.Axe().run(visit(rendered(name))).response["violations"]
    serious = [entry for entry in found if entry["impact"] in ("serious", "critical")]
    assert [(entry["id"], node["html"][:200]) for entry in serious for node in entry["nodes"]] == []

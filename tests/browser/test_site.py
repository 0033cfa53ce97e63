"""The site from the file system, with the network blocked: on a phone and a desk, in light and in dark."""

import re

import pytest
from in_browser import OVERFLOWING, PHONE
from places import NOTEBOOKS

pytestmark = pytest.mark.browser
NAMES = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9w][0-9]_*.ipynb"))]
WRITTEN = [path.stem for path in sorted((NOTEBOOKS.parent / "docs").glob("*.md"))]
PAGES = [*WRITTEN, "search", *(f"notebooks/{name}" for name in NAMES), "notebooks/glossary"]
ONE_OF_EACH_KIND = [
    "index",
    "contents",
    "instructors",
    "package",
    "search",
    "notebooks/glossary",
    f"notebooks/{NAMES[0]}",
]
DESK = 1280


@pytest.fixture(scope="module")
def visit(browser, site):
    """A function: a page of the site in a window of some width; whatever it asks the network for is refused."""
    contexts, asked = [], []

    def refuse(route):
        asked.append(route.request.url)
        route.abort()

    def open_page(name, width=DESK, theme="light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme))
        page = contexts[-1].new_page()
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda line: page.errors.append(line.text) if line.type == "error" else None)
        page.route("http*://**", refuse)
        page.goto((site / f"{name}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked == [], "the site asked the network"


@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone_nothing_is_wider_than_the_page(visit, name):
    page = visit(name, width=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE
    assert page.evaluate(OVERFLOWING) == []
    assert page.errors == []


@pytest.mark.parametrize("name", [*ONE_OF_EACH_KIND, f"notebooks/{NAMES[-1]}"])
def test_axe_finds_no_serious_violation_in_light_and_in_dark(visit, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    # Code has the same few colours everywhere, and thousands of words to measure, so one notebook stands for all.
    context = {} if name.endswith(NAMES[0]) else {"exclude": [[".cell_input"]]}
    page = visit(name)
    page.add_style_tag(content="* { transition: none !important; }")  # no colours between light and dark
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.locator(f"html[data-theme={theme}]").wait_for(state="attached")
        found = axe.Axe().run(page, context=context).response["violations"]
        serious = [entry for entry in found if entry["impact"] in ("serious", "critical")]
        assert [(theme, entry["id"], node["html"][:200]) for entry in serious for node in entry["nodes"]] == []


def test_a_word_is_found_and_leads_to_its_page(visit, expect):
    page = visit("index")
    page.get_by_role("button", name=re.compile("Search")).first.click()
    box = page.get_by_role("searchbox").first
    box.fill("straggler")
    box.press("Enter")
    results = page.locator("#search-results ul.search li")
    expect(results.first).to_be_visible()
    expect(results.filter(has_text="Clients that come and go").first).to_be_visible()
    results.filter(has_text="straggler").first.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(r"notebooks/glossary\.html.*#straggler$"))
    assert page.errors == []


def test_a_word_that_stands_nowhere_is_not_found(visit, expect):
    page = visit("search")
    page.goto(f"{page.url}?q=xylophone")
    expect(page.locator("#search-results")).to_contain_text("did not match any documents")


def test_the_dark_theme_is_kept_and_figures_stay_white(visit, expect):
    page = visit(f"notebooks/{NAMES[0]}")
    switch = page.locator(".theme-switch-button").first
    switch.click()
    page.locator("button, a, li").filter(has_text=re.compile(r"^\s*Dark\s*$")).first.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto(page.url.replace(NAMES[0], NAMES[1]))
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    background = "element => getComputedStyle(element).backgroundColor"
    assert page.locator("body").evaluate(background) != "rgb(255, 255, 255)"
    if not (figures := page.locator(".cell_output img").all()):
        pytest.skip("figures need notebooks that ran: fedlearn run")
    for figure in figures:
        assert figure.evaluate(background) == "rgb(255, 255, 255)"
        assert figure.evaluate("element => getComputedStyle(element).filter") == "none"


def test_long_lines_of_code_scroll_in_their_box(visit):
    page = visit(f"notebooks/{NAMES[1]}", width=PHONE)
    widths = page.locator(".cell_input pre").evaluate_all("all => all.map(e => [e.scrollWidth, e.clientWidth])")
    assert any(inside > box for inside, box in widths)
    assert all(box < PHONE for _, box in widths)

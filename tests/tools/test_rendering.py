"""Pages of notebooks: without a network, without a kernel, with formulas, widgets' figures and links."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from fedlearn_helpers.errors import InputError
from workbook_tools.editions.colab import link
from workbook_tools.execution.rendering import render

WIDGET = {"version_major": 2, "version_minor": 0, "model_id": "abc"}


@pytest.fixture
def page_of(tmp_path):
    """A function: the HTML of a notebook's page, without what nbconvert puts into its head."""

    def make(*cells):
        notebook = new_notebook(cells=cells, metadata={"widgets": {"application/vnd.jupyter.widget-state+json": {}}})
        nbformat.write(notebook, tmp_path / "a.ipynb")
        render(tmp_path / "a.ipynb", tmp_path / "a.html")
        return (tmp_path / "a.html").read_text()

    return make


def body_of(page: str) -> str:
    return page.partition("<main>")[2].partition("</main>")[0]


def shows(**data):
    """A cell with one output, by media type with _ for /."""
    output = new_output("display_data", {kind.replace("_", "/"): value for kind, value in data.items()})
    return new_code_cell("show()", outputs=[output])


def test_nothing_is_fetched(page_of):
    page = page_of(new_markdown_cell("# Title\n\n$x$\n\n```mermaid\ngraph TD;\n```"), shows(text_html="<b>1</b>"))
    assert re.findall(r"""(?:src|href)=["']https?:[^"']*|url\(["']?https?:[^)]*|@import|<script""", page) == []
    assert "graph TD;" in body_of(page)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "count"),
    [
        (new_markdown_cell("A $w_t$, and\n\n$$\\sum_k w_k .$$\n\n- $x$ in a list"), 3),
        (new_markdown_cell("| a | b |\n|---|---|\n| $x_1$ | $y_1$ and $z$ |"), 3),
        (new_markdown_cell("<details><summary>Why $x$?</summary>\n\nBecause $y$.\n\n</details>"), 2),
        (new_markdown_cell("<div>\n$x$ and $$y$$\n</div>"), 2),
        (new_markdown_cell("\\begin{align}a &= b\\end{align}"), 1),
        (shows(text_markdown="| $x$ |\n|---|\n| $y$ |"), 2),
        (shows(text_html="<div style='white-space:pre-wrap'>✗ Not yet. $x$</div>"), 1),
        (shows(text_html="<table><tr><td>$x$</td></tr></table>", text_plain="$x$"), 1),
        (shows(text_latex="$\\displaystyle x$", text_plain="x"), 1),
        (shows(text_latex="\\begin{equation}a < b\\end{equation}"), 1),
    ],
)
def test_formulas_are_mathml_wherever_they_stand(page_of, cell, count):
    body = body_of(page_of(cell))
    assert body.count("<math ") == count
    text = re.sub(r"<(math|pre)\b.*?</\1>|<[^>]*>", "", body, flags=re.DOTALL)
    assert "$" not in text and "\\" not in text


def test_code_and_what_it_prints_keep_their_dollars(page_of):
    printed = new_output("stream", text="costs $x$")
    body = body_of(page_of(new_markdown_cell("`$x$`"), new_code_cell('f("$x$")', outputs=[printed])))
    assert "<math" not in body and body.count("$x$") == 3


def test_a_fold_stays_one_until_it_is_closed(page_of):
    body = body_of(page_of(new_markdown_cell("<details><summary>More</summary>\n\n*Inside*\n\n</details>\n\nOutside")))
    assert re.search(r"<details>.*<em>Inside</em>.*</details>.*Outside", body, re.DOTALL)


def test_an_answer_in_a_fold_has_its_lists_and_formulas(page_of):
    answer = "<details><summary>Answer</summary>\n\nTwo reasons:\n\n- $x$ is *small*;\n- it stays so.\n\n</details>"
    body = body_of(page_of(new_markdown_cell(f"What do you see?\n\n{answer}\n\nOutside")))
    fold = re.search(r"<details><summary>Answer</summary>(.*)</details>(.*)", body, re.DOTALL)
    assert fold[1].count("<li>") == 2 and "<math " in fold[1] and "<em>small</em>" in fold[1]
    assert "<p>Outside</p>" in fold[2]


def test_code_that_need_not_be_read_is_in_a_fold_and_its_outputs_are_not(page_of):
    cells = (shows(text_html="<b>one</b>"), shows(text_html="<b>two</b>"))
    cells[0].metadata = {"tags": ["hide-input"], "jupyter": {"source_hidden": True}}
    page = page_of(*cells)
    first, second = re.findall(r'class="jp-Cell jp-CodeCell.*?<b>\w+</b>', body_of(page), re.DOTALL)
    folded, shown = re.search(r"<details class=\"folded-code\">(.*)</details>(.*)", first, re.DOTALL).groups()
    assert folded.startswith("<summary>code</summary>") and "show" in folded and "<b>one</b>" in shown
    assert "<details" not in second and "show" in second
    assert "<script" not in page


@pytest.mark.parametrize(
    "cell",
    [
        new_markdown_cell("first $x$, then $\\nosuch$"),
        new_markdown_cell("<details>\n$\\nosuch$\n</details>"),
        shows(text_html="<p>$\\nosuch$</p>"),
        shows(text_markdown="$\\nosuch$"),
    ],
)
def test_a_formula_that_cannot_be_converted_ends_it_by_name_and_leaves_no_page(page_of, tmp_path, cell):
    page_of(new_markdown_cell("An earlier page"))
    with pytest.raises(InputError, match=r"^a\.ipynb: a formula must be LaTeX that MathML has, got '\\\\nosuch'"):
        page_of(cell)
    assert not (tmp_path / "a.html").exists()


def test_a_widget_is_replaced_by_its_figures(page_of):
    figures = '<figure><figcaption>steps: 50</figcaption><img alt="Fifty steps."/></figure>'
    widget = {"application_vnd.jupyter.widget-view+json": WIDGET, "text_plain": "VBox()"}
    body = body_of(page_of(shows(**widget, text_html=figures)))
    assert body.count('<img alt="Fifty steps."/>') == 1 and "widget-view" not in body and "VBox" not in body


def test_a_widget_without_figures_is_replaced_by_a_sentence(page_of):
    body = body_of(page_of(shows(**{"application_vnd.jupyter.widget-view+json": WIDGET, "text_plain": "VBox()"})))
    assert "Here are controls that work where the notebook runs." in body
    assert "widget-view" not in body and "VBox" not in body


def test_pictures_are_embedded_and_links_lead_to_pages(page_of, tmp_path):
    (tmp_path / "dot.png").write_bytes(b"png")
    text = '![A dot.](dot.png) [next](b.ipynb)\n\n<p>\n<img src="dot.png" alt="A dot."/>\n</p>'
    body = body_of(page_of(new_markdown_cell(text)))
    assert body.count("data:image/png;base64,cG5n") == 2 and 'href="b.html"' in body


GITHUB = "https://github.com/someone/work.book"
ADDRESS = "https://colab.research.google.com/github/someone/work.book/blob/colab/01_centralized_cnn.ipynb"


@pytest.mark.parametrize("edition", [True, False])
@pytest.mark.parametrize("url", [GITHUB, f"{GITHUB}.git", ""])
def test_a_page_opens_the_edition_for_colab_or_offers_it_or_says_nothing(tmp_path, monkeypatch, url, edition):
    (tmp_path / "pyproject.toml").write_text(f'[project.urls]\n{"Repository" if url else "Flower"} = "{url}"\n')
    found = link.repository(tmp_path / "pyproject.toml")
    monkeypatch.setattr(link, "repository", lambda: found)
    name = "01_centralized_cnn.ipynb"
    if edition:
        (tmp_path / "colab").mkdir()
        (tmp_path / "colab" / name).write_text("{}")
    nbformat.write(new_notebook(cells=[new_markdown_cell("# A title")]), tmp_path / name)
    render(tmp_path / name, tmp_path / "01.html")
    top = body_of((tmp_path / "01.html").read_text()).partition("<h1")[0]
    links = re.findall(r'<a href="([^"]*)"( download)?>([^<]*)</a>', top)
    offered = [(f"colab/{name}", " download", "Download for Colab")] if edition else []
    assert links == ([(ADDRESS, "", "Open in Colab")] if url else offered)


@pytest.mark.parametrize(
    "url", ["https://example.org/someone/work", "https://github.com/someone", "http://github.com.x/a/b"]
)
def test_other_addresses_are_no_repository_on_github(tmp_path, url):
    (tmp_path / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{url}"\n')
    assert link.repository(tmp_path / "pyproject.toml") is None
    assert link.repository(tmp_path / "none.toml") is None


def test_the_glossary_has_no_edition(monkeypatch, tmp_path):
    monkeypatch.setattr(link, "repository", lambda: "someone/workbook")
    assert link.colab_link("glossary.ipynb", tmp_path, "colab") == ""

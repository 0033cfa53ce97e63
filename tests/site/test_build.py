"""The site: built without a warning, with every page, link, paper and formula."""

import html
import json
import os
import re
from pathlib import Path

import make_site
import nbformat
import pytest
import typer.main
from formulas_in import formulas_in
from links import anchor_of, broken_links
from notebook_facts import bibliography, read_facts
from prepare import as_on_the_site, prepare

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common import contents
from workbook_tools import cli

NOTEBOOKS = sorted(make_site.NOTEBOOKS.glob("[0-9w][0-9]_*.ipynb"))
GLOSSARY = make_site.NOTEBOOKS / "glossary.ipynb"
_PAPER = r"https?://(?:arxiv\.org|(?:dx\.)?doi\.org)/[^\s)\"'<>\]]+"
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def page_of(site: Path, path: Path) -> str:
    return (site / "notebooks" / f"{path.stem}.html").read_text()


def cells_of(path: Path) -> list:
    return nbformat.read(path, as_version=4).cells


def text_of(page: str) -> str:
    """Return a page's text on one line, with straight quotes: Sphinx curls them."""
    text = html.unescape(re.sub(r"<[^>]+>", "", page))
    return " ".join(text.translate(str.maketrans("‘’“”", "''\"\"")).split())


def rows_after(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table under a heading, as texts."""
    table = page[page.index(f">{heading}<") :].partition("</table>")[0]
    rows = re.findall(r"<tr.*?</tr>", table, re.DOTALL)
    return [[text_of(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows]


def test_has_every_page(site):
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html") if path.parent.name != "_static"}
    notebooks = {f"notebooks/{path.stem}.html" for path in [*NOTEBOOKS, GLOSSARY]}
    written = {f"{path.stem}.html" for path in make_site.DOCS.glob("*.md")}
    assert pages == notebooks | written | {"search.html"}


def test_every_page_is_in_the_menu(site):
    menu = (site / "index.html").read_text().partition('class="bd-navbar-elements')[2].partition("</nav>")[0]
    pages = {f"{path.stem}.html" for path in make_site.DOCS.glob("*.md")} - {"index.html"}
    assert pages <= set(re.findall(r'href="([^"#]+)"', menu))


def test_pictures_are_there_and_say_what_they_show(site):
    for name in ("index", "package"):
        article = (site / f"{name}.html").read_text().partition("<article")[2].partition("</article>")[0]
        (alt,) = re.findall(r'<img alt="([^"]+)"', article)
        assert len(alt) > 40


def test_notebooks_stand_in_the_menu_in_reading_order(site):
    menu = (site / "contents.html").read_text().partition('class="bd-links__title"')[2]
    listed = re.findall(r'href="notebooks/([^"#]+)\.html">\s*([\dw]\d)', menu.partition("</nav>")[0])
    assert listed == [(entry.name, entry.name[:2]) for entry in contents.entries()]


@pytest.mark.parametrize("name", ["index", "contents", "instructors"])
def test_times_are_the_measured_ones(site, name):
    text = text_of((site / f"{name}.html").read_text())
    for entry in contents.entries():
        assert re.search(
            rf"{re.escape(f'{entry.name[:2]} {entry.title} {entry.teaches}')} \d+ min \d+ min {entry.seconds:.0f} s",
            text,
        ), entry.name


def test_nothing_comes_over_the_network(site):
    for path in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"(?:https?:)?//[^\"]*", path.read_text()
        )
        assert loaded == [], path.name


def test_names_no_folder_of_the_machine_that_built_it(site):
    for path in [*site.rglob("*.html"), site / "searchindex.js"]:
        assert str(site.parent) not in path.read_text() and str(make_site.ROOT) not in path.read_text(), path.name


@every_notebook
def test_every_formula_is_mathml(site, path):
    assert page_of(site, path).count("<math ") == len(formulas_in(path))


@every_notebook
def test_links_to_terms_lead_to_their_definitions(site, path):
    glossary = (site / "notebooks" / "glossary.html").read_text()
    links = re.findall(r'href="glossary\.html#([^"]+)"[^>]*>(.*?)</a>', page_of(site, path))
    assert len(links) >= 5 or path.name[0] == "w", "wrap-ups introduce no terms"
    for anchor, term in links:
        (heading,) = re.findall(rf'id="{re.escape(anchor)}">\s*(?:</?span[^>]*>\s*)*<h\d>(.*?)<', glossary)
        assert text_of(heading) == text_of(term)


def test_every_paper_of_the_notebooks_is_in_the_bibliography_and_the_other_way_round(site):
    cited = {
        link.rstrip(".,;") for path in NOTEBOOKS for cell in cells_of(path) for link in re.findall(_PAPER, cell.source)
    }
    listed = re.findall(_PAPER, (site / "bibliography.html").read_text())
    assert len(listed) == len(set(listed)), "a paper stands there twice"
    assert set(listed) == cited


@every_notebook
def test_outcomes_are_those_of_the_notebook(site, path):
    (said,) = re.findall(r"\*\*After this notebook you can\*\* (.+)", cells_of(path)[0].source)
    assert f"After it, students can {said.replace('*', '')}" in text_of((site / "instructors.html").read_text())


def test_instructors_find_every_command(site):
    text = text_of((site / "instructors.html").read_text())
    shown = {name for name, command in typer.main.get_command(cli.app).commands.items() if not command.hidden}
    assert shown == set(re.findall(r"fedlearn (\w+): ", text)) >= {"run", "compare", "flower"}


@pytest.mark.parametrize(("plan", "minutes"), [("90 minutes: what federated learning is", 90), ("One day", 4 * 90)])
def test_course_plans_add_up(site, plan, minutes):
    header, *rows = rows_after((site / "instructors.html").read_text(), plan)
    assert header[0] == "minutes"
    assert sum(int(row[0]) for row in rows) == minutes


def test_the_rubric_has_four_criteria_and_four_levels(site):
    rows = rows_after((site / "instructors.html").read_text(), "A rubric for the project")
    assert len(rows) == 5
    assert all(len(row) == 5 and all(row[1:]) for row in rows)


def test_no_answer_waits_for_a_notebook_that_is_there():
    pages = "".join(page.read_text() for page in make_site.DOCS.glob("*.md"))
    planned = re.findall(r"Planned for notebook (\d\d)", pages)
    assert set(planned) & {path.name[:2] for path in NOTEBOOKS} == set()


# What goes wrong --------------------------------------------------------------------------


def test_what_sphinx_cannot_resolve_ends_the_build_and_leaves_the_old_site(tmp_path):
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    notebook.cells[
        0
    ].source += "\n\n[nowhere](99_nowhere.ipynb), [no term](glossary.ipynb#no-such-term), $\\nosuchcommand$"
    notebook.cells[0].source += "\n\n<details>\n$\\inafold$\n</details>"
    notebook.cells.append(output_cell({"text/html": "<p>$\\inanoutput$</p>"}))
    nbformat.write(notebook, tmp_path / "changed.ipynb")
    sources = {path.name: path for path in NOTEBOOKS} | {NOTEBOOKS[0].name: tmp_path / "changed.ipynb"}
    output = tmp_path / "build" / "site"
    output.mkdir(parents=True)
    (output / "index.html").write_text("the old one")
    with pytest.raises(make_site.SiteError) as caught:
        make_site.build_site(sources, output)
    for problem in ("99_nowhere.ipynb", "no-such-term", "nosuchcommand", "inafold", "inanoutput"):
        assert problem in str(caught.value)
    assert [path.name for path in output.parent.iterdir()] == ["site"]
    assert (output / "index.html").read_text() == "the old one"


def test_broken_links_are_found_and_good_ones_are_not(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="#here">1</a><a href="#gone">2</a><a href="sub/b.html#x%20y">3</a>'
        '<a href="sub/b.html#z">4</a><img src="none.png">'
        '<a href="https://example.org/x">5</a><a href="mailto:a@b">6</a>'
    )
    (tmp_path / "sub" / "b.html").write_text('<h2 id="x y"><a href="../a.html#here">1</a><a href="c.ipynb">2</a>')
    assert broken_links(tmp_path) == [
        "a.html: #gone",
        "a.html: sub/b.html#z",
        "a.html: none.png",
        "sub/b.html: c.ipynb",
    ]


def test_anchors_are_those_of_jupyterlab():
    assert anchor_of("2. If the data stay, what moves?") == "2.-If-the-data-stay,-what-moves?"


def output_cell(*outputs):
    return nbformat.v4.new_code_cell("show()", outputs=[nbformat.v4.new_output("display_data", out) for out in outputs])


def test_formulas_in_folds_tables_and_outputs_are_mathml(tmp_path):
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    there = len(formulas_in(NOTEBOOKS[0]))
    notebook.cells[0].source += (
        "\n\n<details><summary>Why $a$?</summary>\n\n$b$\n\n</details>\n\n| $c$ |\n|---|\n| $d$ |"
        "\n\n<div>\n$e$ and $$f$$\n</div>"
    )
    outputs = {"text/html": "<p>$g$</p>"}, {"text/markdown": "$h$"}, {"text/latex": "$\\displaystyle i$"}
    notebook.cells.append(output_cell(*outputs))
    nbformat.write(notebook, tmp_path / "changed.ipynb")
    sources = {path.name: path for path in NOTEBOOKS} | {NOTEBOOKS[0].name: tmp_path / "changed.ipynb"}
    make_site.build_site(sources, tmp_path / "site")
    page = page_of(tmp_path / "site", NOTEBOOKS[0])
    assert page.count("<math ") == there + 9
    assert not [letter for letter in "abcdefghi" if f"${letter}$" in page]


def test_code_that_need_not_be_read_and_answers_are_in_folds(tmp_path):
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    cell = output_cell({"text/html": "<b>a figure</b>"})
    cell.source, cell.metadata = "unread()", {"tags": ["hide-input"], "jupyter": {"source_hidden": True}}
    answer = "<details><summary>The answer</summary>\n\nTwo:\n\n- $x$, *small*\n- $y$\n\n</details>\n\nOutside"
    notebook.cells += [cell, nbformat.v4.new_markdown_cell(answer)]
    nbformat.write(notebook, tmp_path / "changed.ipynb")
    sources = {path.name: path for path in NOTEBOOKS} | {NOTEBOOKS[0].name: tmp_path / "changed.ipynb"}
    make_site.build_site(sources, tmp_path / "site")
    page = page_of(tmp_path / "site", NOTEBOOKS[0])
    code, after = page[page.rindex('<details class="admonition hide above-input">') :].split("</details>", 1)
    assert text_of(code).replace(" ", "") == "codecodeunread()", "its two prompts, of which one is shown"
    assert "<b>a figure</b>" in after
    fold, after = after.partition("<summary>The answer</summary>")[2].split("</details>", 1)
    assert fold.count("<li>") == 2 and fold.count("<math ") == 2 and "<em>small</em>" in fold
    assert "Outside" in after


@pytest.mark.parametrize("repository", [None, "someone/workbook"])
def test_notebooks_open_in_colab_or_are_offered_for_it(tmp_path, monkeypatch, repository):
    first, second = NOTEBOOKS[:2]
    (tmp_path / "build" / "colab").mkdir(parents=True)
    (tmp_path / "build" / "colab" / first.name).write_text("{}")
    monkeypatch.setattr(make_site, "BUILD", tmp_path / "build")
    monkeypatch.setattr(make_site, "repository", lambda: repository)
    monkeypatch.setattr("workbook_tools.editions.colab.link.repository", lambda: repository)
    make_site.build_site({path.name: path for path in NOTEBOOKS}, tmp_path / "site")
    pages = [page_of(tmp_path / "site", path) for path in NOTEBOOKS]
    links = [re.findall(r'<p class="colab-link"><a href="([^"]+)"', page) for page in pages]
    if repository:
        address = f"https://colab.research.google.com/github/{repository}/blob/colab"
        assert links == [[f"{address}/{path.name}"] for path in NOTEBOOKS]
        assert not (tmp_path / "site" / "colab").exists()
    else:
        assert links[:2] == [[f"../colab/{first.name}"], []]
        assert (tmp_path / "site" / "colab" / first.name).read_text() == "{}"
        assert not (tmp_path / "site" / "colab" / second.name).exists()


def test_notebooks_name_pages_that_are_beside_their_folder(tmp_path):
    cell = nbformat.v4.new_markdown_cell("[claims](../docs/claims.md) [next](b.ipynb)")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    prepare(tmp_path / "a.ipynb", tmp_path / "b.ipynb")
    (shown,) = cells_of(tmp_path / "b.ipynb")
    assert shown.source == "[claims](../claims.md) [next](b.ipynb)"


def test_a_widget_becomes_its_figures_or_a_sentence(tmp_path):
    widget = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "VBox()"}
    figure = {"text/html": '<img alt="A figure."/>'}
    cell = output_cell(figure, widget | figure, widget)
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {"state": {}}})
    nbformat.write(notebook, tmp_path / "a.ipynb")
    prepare(tmp_path / "a.ipynb", tmp_path / "b.ipynb")
    prepared = nbformat.read(tmp_path / "b.ipynb", as_version=4)
    first, second, third = (output.data for output in prepared.cells[0].outputs)
    assert first == figure and second == figure | {"text/plain": "VBox()"}
    assert "where the notebook runs" in third["text/html"] and set(third) == {"text/plain", "text/html"}
    assert "widgets" not in prepared.metadata


def test_pages_name_files_that_the_site_does_not_have():
    text = (
        "![A round.](_static/a.svg) ![Times.](../benchmarks/b.png) [bench](../benchmarks/README.md) "
        "[00](<../notebooks/00_a.ipynb#1.-Why?>) [data](data.md#Where) [Flower](https://flower.ai)"
    )
    assert as_on_the_site(text) == (
        "![A round.](pictures/a.svg) ![Times.](pictures/b.png) bench "
        "[00](<notebooks/00_a.ipynb#1.-Why?>) [data](data.md#Where) [Flower](https://flower.ai)",
        ["_static/a.svg", "../benchmarks/b.png"],
    )


@pytest.mark.parametrize(("injected", "kept"), [('output_dir = "out"', False), ('output_dir = "out"\nseed = 1', True)])
def test_injected_parameters_are_shown_if_they_change_anything(tmp_path, injected, kept):
    cell = nbformat.v4.new_code_cell(f"# Parameters\n{injected}", metadata={"tags": ["injected-parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    prepare(tmp_path / "a.ipynb", tmp_path / "b.ipynb")
    assert bool(cells_of(tmp_path / "b.ipynb")) == kept


@pytest.fixture
def first_notebook(tmp_path):
    """A function: a folder with a copy of the first notebook in which a text is replaced."""

    def copy(before, after, folder=tmp_path):
        text = NOTEBOOKS[0].read_text()
        assert before in text
        folder.mkdir(exist_ok=True)
        (folder / NOTEBOOKS[0].name).write_text(text.replace(before, after))
        return folder

    return copy


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("After this notebook you can", "Afterwards you can", "00_start_here.ipynb must have a line that matches"),
        ("**Builds on**", "**Needs**", "00_start_here.ipynb must have a line that matches"),
        ("**Time**: ", "**Time**: about ", "00_start_here.ipynb must have a line that matches"),
        (
            " (2018): *Federated Learning for",
            ", 2018: *Federated Learning for",
            "a reference in 00_start_here must look like",
        ),
    ],
)
def test_a_notebook_that_does_not_say_what_the_site_needs(first_notebook, before, after, sentence):
    with pytest.raises(InputError, match=sentence):
        read_facts(first_notebook(before, after))


def test_a_notebook_that_is_not_in_the_contents(tmp_path):
    (tmp_path / "77_unknown.ipynb").write_text(json.dumps({}))
    with pytest.raises(InputError, match=r"with none of the workbook's, but 77_unknown\.ipynb$"):
        read_facts(tmp_path)
    (first,) = make_site.NOTEBOOKS.glob("00_*.ipynb")
    (tmp_path / first.name).write_bytes(first.read_bytes())
    assert [one.entry.name for one in read_facts(tmp_path)] == [first.stem], "the other is left out"


def test_a_paper_that_two_notebooks_cite_differently(first_notebook, tmp_path):
    changed = read_facts(first_notebook("Hard et al. (2018)", "Hard (2018)", tmp_path / "changed"))
    with pytest.raises(InputError, match="arxiv.org/abs/1811.03604.* must be cited alike everywhere"):
        bibliography([*read_facts(make_site.NOTEBOOKS), *changed])


# What has to run --------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of two notebooks that ran, and a package; all files are of one time."""
    for name in ("00_start_here", "01_centralized_cnn"):
        for path in (f"notebooks/{name}.ipynb", f"build/{name}.ipynb", f"build/results/{name}/results.json"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
    (tmp_path / "fedlearn_helpers").mkdir()
    (tmp_path / "fedlearn_helpers" / "a.py").touch()
    for path in tmp_path.rglob("*.*"):
        os.utime(path, (1000, 1000))
    monkeypatch.setattr(make_site, "ROOT", tmp_path)
    monkeypatch.setattr(make_site, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(make_site, "BUILD", tmp_path / "build")
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "stale"),
    [
        (None, []),
        ("notebooks/01_centralized_cnn.ipynb", ["01"]),
        ("fedlearn_helpers/a.py", ["00", "01"]),
    ],
)
def test_notebooks_older_than_what_they_were_made_of_are_run(project, monkeypatch, changed, stale):
    ran, built = [], []
    monkeypatch.setattr(cli, "run", lambda numbers: ran.extend((number, Path.cwd()) for number in numbers))
    monkeypatch.setattr(make_site, "build_site", lambda notebooks, output: built.append((list(notebooks), output)))
    if changed:
        os.utime(project / changed, (2000, 2000))
    make_site.main()
    assert ran == [(number, project) for number in stale]
    assert built == [(["00_start_here.ipynb", "01_centralized_cnn.ipynb"], project / "build" / "site")]


def test_a_notebook_whose_last_run_failed_is_run_again(project):
    (
        project / "build" / "results" / "01_centralized_cnn" / "results.json"
    ).unlink()  # as fedlearn run does before it starts
    assert (
        make_site.executed(project / "notebooks" / "00_start_here.ipynb") == project / "build" / "00_start_here.ipynb"
    )
    assert make_site.executed(project / "notebooks" / "01_centralized_cnn.ipynb") is None


def test_problems_are_printed_without_a_traceback(project, monkeypatch):
    def fail(notebooks, output):
        raise make_site.SiteError("links that lead nowhere")

    monkeypatch.setattr(make_site, "build_site", fail)
    with pytest.raises(SystemExit, match="SiteError: links that lead nowhere"):
        make_site.main()

"""README and pages: short, complete, with links that lead somewhere and examples that run."""

import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import typer.main
from links import anchor_of

from workbook_tools import cli

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
TEXTS = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("benchmarks/**/*.md"))]
_FENCED = re.compile(r"^( *)```({\w+}|\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(<?([^)>\s]+)>?\)")
every_text = pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))


def prose_of(path):
    return _FENCED.sub("", path.read_text(encoding="utf-8"))


def links_of(path):
    """The links of a text to files of the project, as path and anchor."""
    links = [unquote(link) for link in _LINK.findall(prose_of(path)) if not re.match(r"[a-z]+:", link)]
    return [link.partition("#")[::2] for link in links]


def headings_of(path):
    return re.findall(r"^#+ (.+)$", prose_of(path), re.MULTILINE)


def anchor_on_github(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_readme_is_a_front_page():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 120


@every_text
def test_links_lead_to_files_that_exist(path):
    missing = [target for target, _ in links_of(path) if target and not (path.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_anchors_of_pages_are_headings(path):
    for target, anchor in links_of(path):
        if anchor and not target.endswith(".ipynb"):
            page = path.parent / target if target else path
            headings = headings_of(page)
            assert anchor in {*map(anchor_of, headings), *map(anchor_on_github, headings)}, f"{target}#{anchor}"


def test_pictures_say_what_they_show():
    for path in (README, *DOCS.glob("*.md")):
        for alt in re.findall(r"!\[(.*?)\]\(", prose_of(path)):
            assert len(alt) > 40, path.name


def test_every_page_is_in_the_sites_table_of_contents():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    (toctree,) = [body for _, kind, body in _FENCED.findall(index) if kind == "{toctree}"]
    assert {path.stem for path in DOCS.glob("*.md")} - {"index"} <= set(toctree.split())


def test_pages_are_reached_from_the_readme_and_from_each_other():
    pages = {path.name for path in DOCS.glob("*.md")}
    from_readme = {Path(target).name for target, _ in links_of(README)}
    assert pages - from_readme <= {"index.md", "contents.md", "bibliography.md"}  # which only the site fills
    for name in pages - {"index.md", "contents.md"}:
        others = [path for path in DOCS.glob("*.md") if path.name not in (name, "index.md")]
        if name != "bibliography.md":
            assert name in {target for path in others for target, _ in links_of(path)}, name


def test_every_command_is_described():
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    for name, command in typer.main.get_command(cli.app).commands.items():
        assert command.hidden or f"fedlearn {name}" in text, name


def test_words_are_defined_where_the_table_says():
    rows = re.findall(r"^\| .+ \| (.+) \| (.+) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    words = [row for row in rows if ".py" in row[1]]
    assert len(words) > 20
    for names, files in words:
        paths = [Path(name) for name in re.findall(r"`([\w/]+\.py)`", files)]
        paths = [path if path.parent.name else paths[0].with_name(path.name) for path in paths]
        text = "".join(
            (ROOT / ("" if path.parts[0] == "tests" else "fedlearn_helpers") / path).read_text() for path in paths
        )
        for name in re.findall(r"`(\w+)=?`", names):
            assert re.search(rf"\b{name}\b", text), f"{name} in {files}"


def run_examples(page):
    """Run the Python of a page, one after the other, as a reader does; return the names that it has defined."""
    names = {}
    examples = [body for _, kind, body in _FENCED.findall((DOCS / page).read_text()) if kind == "python"]
    assert len(examples) >= 4
    for number, example in enumerate(examples):
        exec(compile(example, f"docs/{page}, example {number}", "exec"), names)
    return names


@pytest.mark.slow
def test_examples_of_the_package_run(capsys):
    run_examples("package.md")


@pytest.mark.slow
def test_an_older_tutorial_and_its_translation_give_the_same_weights_and_metrics(capsys):
    """The page itself compares the models after the last round; here also what both measure after each."""
    names = run_examples("older_tutorials.md")
    history, older = names["history"], names["older"]
    assert sorted(older) == sorted(history.server_metrics) == [0, 1, 2, 3]
    assert np.abs(older[3][0] - older[2][0]).max() > 1e-3, "what is compared has been trained"
    for number, parameters in older.items():
        loss, metrics = names["evaluate_fn"](number, parameters, {})
        assert history.server_metrics[number] == pytest.approx({"loss": loss, **metrics}, abs=1e-6)
    clients = [names["FlowerClient"](names["new_net"](), names["load_client"](number)) for number in range(3)]
    evaluated = [client.evaluate(older[3], {})[1:] for client in clients]
    average = names["weighted_average"](evaluated)["accuracy"]
    assert history.rounds["evaluate_accuracy"].iloc[-1] == pytest.approx(average, abs=1e-6)


def test_what_an_older_tutorial_has_is_translated():
    table = (DOCS / "older_tutorials.md").read_text().partition("## What both share")[0]
    words = "NumPyClient client_fn start_simulation run_simulation fit evaluate weighted_average evaluate_fn"
    for word in (*words.split(), "get_parameters", "set_parameters"):
        assert re.search(rf"^\|.*\b{word}\b.*\|.*\|$", table, re.MULTILINE), word


def test_the_faults_name_tests_that_exist():
    tests = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    named = re.findall(r"`(test_\w+\.py)`:((?: `test_\w+`,?)+)", (DOCS / "faults.md").read_text(encoding="utf-8"))
    assert named
    for file, functions in named:
        for function in re.findall(r"`(test_\w+)`", functions):
            assert f"def {function}(" in tests[file], f"{file}: {function}"

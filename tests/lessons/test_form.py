"""What holds for every notebook in the repository, without running it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from lesson import all_lessons, call_of, cells_of, code_of, has_tag, text_of
from link_terms import link_terms, linked
from places import NOTEBOOKS as FOLDER

import fedlearn_helpers
from fedlearn_helpers.data import KNOWN_DATASETS
from fedlearn_helpers.lessons.common import contents

NOTEBOOKS = sorted(FOLDER.glob("[0-9w][0-9]_*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if path.name[0] != "w"]  # wrap-ups introduce nothing
GLOSSARY = FOLDER / "glossary.ipynb"
PROJECT = ("fedlearn_helpers", "workbook_tools")
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
MOST_LINES = 25


def test_every_notebook_has_a_folder_and_a_test_file():
    lessons = Path(fedlearn_helpers.__file__).parent / "lessons"
    folders = {path.parent.name for path in lessons.glob("*/parameters.py")} - {"common"}
    assert folders == {path.stem[3:] for path in NOTEBOOKS}
    assert set(all_lessons()) == {path.stem for path in NOTEBOOKS}
    assert all(name == lesson.notebook for name, lesson in all_lessons().items())


def test_notebooks_have_no_outputs():
    check = [sys.executable, "-m", "nbstripout", "--keep-id", "--verify", *NOTEBOOKS]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@every_notebook
def test_has_stable_cell_ids(path):
    ids = [cell["id"] for cell in nbformat.read(path, as_version=4).cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in ids)


@every_notebook
def test_parameters_are_typed_explained_and_checked(path):
    declared = papermill.inspect_notebook(str(path))
    assert set(declared) == set(all_lessons()[path.stem].model.model_fields)
    for name, facts in declared.items():
        assert facts["inferred_type_name"] != "None", f"{name} has no type"
        assert len(facts["help"]) > 10, f"{name} has no comment that says what it means"


# How a comment says a limit, and how the parameters' model does. "from 1 to num_clients" is a rule over two of them.
_NUMBER = r"(-?[\d_.]*\d(?:\*\*\d+)?)"
_WORDS = {
    "minimum": rf"\bat least {_NUMBER}|\bfrom {_NUMBER} to ",
    "exclusiveMinimum": rf"\babove {_NUMBER}",
    "maximum": rf"\bat most {_NUMBER}|\bfrom {_NUMBER} to {_NUMBER}",
    "exclusiveMaximum": rf"\bbelow {_NUMBER}",
}


def limits_in_words(comment: str) -> dict[str, float]:
    """Return the limits that a comment states, by their names in a JSON schema."""
    found = {name: re.findall(words, comment) for name, words in _WORDS.items()}
    numbers = {}
    for name, hits in found.items():
        assert len(hits) <= 1, f"two limits of a kind in: {comment}"
        for hit in hits:
            text = hit if isinstance(hit, str) else [part for part in hit if part][-1]
            base, _, power = text.partition("**")
            numbers[name] = float(base) ** int(power or 1)
    return numbers


def limits_in_model(schema: dict) -> dict[str, float]:
    """Return the limits of a field from its JSON schema, of the alternatives' too."""
    found = {name: float(schema[name]) for name in _WORDS if name in schema}
    for alternative in schema.get("anyOf", []):
        found |= limits_in_model(alternative)
    return found


def names_in_model(schema: dict) -> set[str]:
    """Return the texts that a field may be, if they are few."""
    found = {*schema.get("enum", []), *([schema["const"]] if "const" in schema else [])}
    return found.union(*map(names_in_model, schema.get("anyOf", [])))


@every_notebook
def test_a_parameters_comment_states_the_range_that_is_checked(path):
    fields = all_lessons()[path.stem].model.model_json_schema()["properties"]
    for name, facts in papermill.inspect_notebook(str(path)).items():
        comment = facts["help"]
        assert limits_in_words(comment) == limits_in_model(fields[name]), f"{name}: {comment}"
        names = set(KNOWN_DATASETS) if name == "dataset" else names_in_model(fields[name])
        assert names <= set(re.findall(r'"([^"]+)"', comment)), f"{name}: {comment}"


@pytest.mark.parametrize(
    ("comment", "limits"),
    [
        ("clients, at least 2", {"minimum": 2}),
        ("a share, above 0, at most 1", {"exclusiveMinimum": 0, "maximum": 1}),
        ("a factor, from 0.5 to 1000", {"minimum": 0.5, "maximum": 1000}),
        ("clients in a round, from 1 to num_clients", {"minimum": 1}),
        ("a seed, at least 0, below 2**32", {"minimum": 0, "exclusiveMaximum": 2**32}),
        ("images of sections 5 to 8", {}),
    ],
)
def test_limits_are_read_from_words(comment, limits):
    assert limits_in_words(comment) == limits


@every_notebook
def test_few_modules_of_the_project_are_imported(path):
    imported = set()
    for node in ast.walk(ast.parse(code_of(path))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    ours = {name for name in imported if name.partition(".")[0] in PROJECT}
    assert not {name for name in ours if name.startswith("workbook_tools")}
    assert 1 <= len(ours) <= 5, sorted(ours)


@every_notebook
def test_figures_bring_their_own_alt_text(path):
    """A cell that draws is a few lines: the lesson's figures know what they show."""
    calls = [node for node in ast.walk(ast.parse(code_of(path))) if isinstance(node, ast.Call)]
    assert not [ast.unparse(call) for call in calls if ast.unparse(call.func) == "plots.show"]
    assert not [ast.unparse(call) for call in calls if "alt" in {keyword.arg for keyword in call.keywords}]


@pytest.mark.parametrize("path", [*NOTEBOOKS, GLOSSARY], ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    targets = re.findall(r"\]\(([^)#:]+\.ipynb)(?:#([^)]+))?\)", text_of(path))
    assert targets
    for target, anchor in targets:
        assert (FOLDER / target).exists(), target
        headings = [
            line.lstrip("# ").replace(" ", "-") for line in text_of(FOLDER / target).splitlines() if line[:1] == "#"
        ]
        assert not anchor or headings.count(anchor) == 1, f"{target}#{anchor}"


def test_the_glossary_defines_every_term_once_and_names_the_notebook_that_introduces_it():
    introduced = {}
    for path in LESSONS:
        (line,) = re.findall(r"^\*\*Terms\*\*: (.*)\.$", text_of(path), re.MULTILINE)
        for term, anchor in re.findall(r"\[([^]]+)\]\(glossary\.ipynb#([^)]+)\)", line):
            assert term not in introduced, f"{term} is introduced twice"
            assert anchor == term.replace(" ", "-")
            introduced[term] = path.name
        assert not re.sub(r"\[[^]]+\]\([^)]+\)", "", line).strip(", "), "a term without a link"
    defined = {}
    for cell in nbformat.read(GLOSSARY, as_version=4).cells[1:]:
        heading, _, definition = cell.source.partition("\n\n")
        assert len(definition) > 40
        defined[heading.removeprefix("### ")] = re.findall(r"\]\(([^)]+)\)", definition)[-1]
    assert defined == introduced
    assert list(defined) == sorted(defined, key=str.lower)


def test_terms_in_definitions_are_linked():
    """If this fails: `python docs/link_terms.py`."""
    glossary = nbformat.read(GLOSSARY, as_version=4)
    before = [cell.source for cell in glossary.cells]
    link_terms(glossary)
    assert [cell.source for cell in glossary.cells] == before
    links = [link for text in before for link in re.findall(r"\]\(#([^)]+)\)", text)]
    anchors = {text.partition("\n")[0].removeprefix("### ").replace(" ", "-") for text in before[1:]}
    assert len(links) > 50 and set(links) <= anchors


@pytest.mark.parametrize(
    ("definition", "links"),
    [
        ("A client sends weights. The client waits.", "A [client](#client) sends weights. The client waits."),
        (
            "Strategies of Clients, in a full-batch step",
            "[Strategies](#strategy) of [Clients](#client), in a full-batch step",
        ),
        ("Client drift, `client`, $client$", "[Client drift](#client-drift), `client`, $client$"),
        (
            "[Clients](#client) and a client. [00 client](00.ipynb)",
            "[Clients](#client) and a client. [00 client](00.ipynb)",
        ),
        ("Not non-IID, and no roundabout round", "Not non-IID, and no roundabout round"),
    ],
)
def test_the_first_use_of_a_term_is_linked(definition, links):
    assert linked(definition, ["client", "client drift", "strategy", "batch", "IID"], own="round") == links


@every_notebook
def test_exercises_are_announced_as_what_they_are_and_followed_by_their_check(path):
    """Three kinds in every notebook; kind, difficulty and minutes in the text are those of the exercise."""
    cells, exercises = cells_of(path), all_lessons()[path.stem].exercises
    kinds = set()
    for position, cell in enumerate(cells):
        if not has_tag(cell, "check"):
            continue
        exercise = exercises[call_of(cell)[0]]
        stub = cells[position - 1]
        assert has_tag(stub, "exercise") and "..." in stub.source
        text = next(earlier for earlier in reversed(cells[:position]) if earlier.cell_type == "markdown").source
        words = {"predict": "Predict", "code": "Write code", "explore": "Explore"}[exercise.kind]
        assert f"*{words} · {exercise.difficulty} · {exercise.minutes} minutes.*" in text
        kinds.add(exercise.kind)
    assert kinds == {"predict", "code", "explore"}


@every_notebook
def test_stated_minutes_are_the_measured_ones(path):
    entry = next(entry for entry in contents.entries() if entry.name == path.stem)
    stated = re.search(r"the cells run in about (\d+) minutes? on 2 cores", text_of(path))
    assert stated and int(stated[1]) == entry.minutes


def test_contents_list_every_notebook_in_order():
    names = [entry.name for entry in contents.entries()]
    assert sorted(names) == [path.stem for path in NOTEBOOKS]
    lessons, wrap_ups = ([name for name in names if (name[0] == "w") == wanted] for wanted in (False, True))
    assert lessons == sorted(lessons) and wrap_ups == sorted(wrap_ups)


@every_notebook
def test_begins_with_its_question_before_its_parameters(path):
    title, opening, parameters = cells_of(path)[:3]
    assert [title["id"], opening["id"], parameters["id"]] == ["title", "opening", "parameters"]
    assert opening.cell_type == "markdown" and has_tag(parameters, "parameters")
    assert "?" in opening.source or path not in LESSONS, "the question that the notebook answers"
    names = ("After this notebook you can", "Builds on", "Time", "Sections")
    places = [title.source.index(f"**{name}**") for name in names]
    assert places == sorted(places)


@every_notebook
def test_the_sections_minutes_add_up_to_the_stated_time(path):
    title = cells_of(path)[0].source
    (sections,) = re.findall(r"^\*\*Sections\*\*:? (.*)$", title, re.MULTILINE)
    total = re.search(r"\*\*Time\*\*: (\d+) minutes", title)
    minutes = [int(minutes) for minutes in re.findall(r"\((\d+) min\)", sections)]
    anchors = re.findall(r"\]\(<?#(.+?)>?\) \(\d+ min\)", sections)
    assert len(anchors) == len(minutes) >= 2, "every section is a link, followed by its minutes"
    assert sum(minutes) == int(total[1])
    headings = [line.lstrip("# ").replace(" ", "-") for line in text_of(path).splitlines() if line.startswith("#")]
    assert {anchor: headings.count(anchor) for anchor in anchors} == dict.fromkeys(anchors, 1)


@every_notebook
def test_cells_of_code_are_short(path):
    lines = {cell["id"]: len(cell.source.splitlines()) for cell in cells_of(path) if cell.cell_type == "code"}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_folded_is_folded_everywhere(path):
    """The tag is for pages, the site and Colab, the other mark for JupyterLab."""
    for cell in cells_of(path):
        hidden = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        assert has_tag(cell, "hide-input") == hidden, cell["id"]
        assert cell.cell_type == "code" or not hidden, cell["id"]
        assert hidden or not has_tag(cell, "answer"), cell["id"]
        assert not (hidden and {"parameters", "exercise", "check"} & set(cell.metadata.tags)), cell["id"]


@every_notebook
def test_every_question_what_one_sees_has_its_answer(path):
    cells = cells_of(path)
    questions = [place for place, cell in enumerate(cells) if "what do you see?" in cell.source.lower()]
    for place in questions:
        near = cells[place : place + 3]
        assert any(has_tag(cell, "answer") or "<details>" in cell.source for cell in near), cells[place]["id"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_folds_in_the_text_are_closed_and_have_room_for_markdown(path):
    for cell in cells_of(path):
        if cell.cell_type == "markdown":
            folds = re.findall(r"^<details><summary>[^\n]+</summary>\n\n.+?\n\n</details>$", cell.source, re.S | re.M)
            assert cell.source.count("<details") == cell.source.count("</details>") == len(folds), cell["id"]


@every_lesson
def test_recall_questions_come_after_the_exercises(path):
    cells = cells_of(path)
    (recall,) = (place for place, cell in enumerate(cells) if cell["id"] == "recall")
    assert cells[recall].cell_type == "code"
    assert recall > max(place for place, cell in enumerate(cells) if has_tag(cell, "check"))
    heading = next(cell.source for cell in reversed(cells[:recall]) if cell.source.startswith("#"))
    assert heading.splitlines()[0] == "## Recall"


@every_lesson
def test_there_are_questions_to_discuss(path):
    discuss = [cell for cell in cells_of(path) if has_tag(cell, "discuss")]
    assert len(discuss) >= 2
    for cell in discuss:
        assert cell.cell_type == "markdown" and re.match(
            r"\*\*Discuss in pairs\*\* \(\d+ minutes\)\. .*\?", cell.source, re.S
        )


@every_lesson
def test_there_are_recall_questions_and_claims(path):
    lesson = all_lessons()[path.stem]
    assert lesson.recall is not None and lesson.claims

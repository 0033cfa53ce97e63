"""The pages on questions, frameworks and data of the field: every question answered, every date with its source."""

import json
import re
from datetime import date
from pathlib import Path

import pytest
from links import anchor_of

DOCS = Path(__file__).parents[2] / "docs"
QUESTIONS = (DOCS / "questions.md").read_text(encoding="utf-8")
FRAMEWORKS = (DOCS / "frameworks.md").read_text(encoding="utf-8")
RIGHT = ("make no sense to an attacker", "49 % against 47 %", "FedProx", "q-FedAvg", "Per-FedAvg", "blockchain")
_LINK = re.compile(r"\]\(<?([^)>\s]+)>?\)")


def sections(text, level):
    """The sections of a page, by heading."""
    parts = re.split(rf"^{'#' * level} (.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def anchors_of(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return {anchor_of(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_into_notebooks_lead_to_sections(page):
    links = [link.partition("#") for link in _LINK.findall(page.read_text(encoding="utf-8")) if ".ipynb#" in link]
    for target, _, anchor in links:
        if "glossary" not in target:
            assert anchor in anchors_of(page.parent / target), f"{target}#{anchor}"


ASKED_PARTS = sections(sections(QUESTIONS, 2)["What they asked"], 3)
RIGHT_PARTS = sections(sections(QUESTIONS, 2)["To put right"], 3)


def test_every_question_of_the_audience_is_there():
    words = ["gradient", "latency", "cost", "small devices", "language", "deep learning", "late?", "deployed"]
    words += ["papers", "adoption", "sports", "regional", "web3"]
    assert len(ASKED_PARTS) == len(words) == 13
    for word in words:
        assert sum(word in heading for heading in ASKED_PARTS) == 1, word
    assert len(RIGHT_PARTS) == len(RIGHT)
    assert all(any(words in heading for heading in RIGHT_PARTS) for words in RIGHT)


@pytest.mark.parametrize(("heading", "answer"), [*ASKED_PARTS.items(), *RIGHT_PARTS.items()])
def test_an_answer_is_short_and_links_to_a_section(heading, answer):
    without_links = _LINK.sub("]", answer)
    sentences = re.findall(r"[.:;?](?:\s|$)", re.sub(r"arXiv:|doi:|et al\.", "", without_links))
    assert 2 <= len(sentences) <= 9 and len(without_links.split()) <= 110
    assert re.search(r"\.ipynb#|package\.md#", answer)


def test_every_framework_has_a_release_a_date_and_a_licence():
    as_of = date(2026, 11, 27)
    assert as_of.strftime("As of %-d %B %Y") in FRAMEWORKS
    rows = re.findall(
        r"^\| \[(.+?)\]\(#\S+\) .*?\| (\S+) \| (\S+) \| (.+?) \| (.+?) \| (\d+) months? \|$", FRAMEWORKS, re.M
    )
    assert {row[0] for row in rows} == set(sections(FRAMEWORKS, 2)) - {"What could not be verified"}
    assert len(rows) == 8
    for name, release, uploaded, _, licence, months in rows:
        assert re.fullmatch(r"\d+(\.\d+)+", release) and licence, name
        assert abs((as_of - date.fromisoformat(uploaded)).days / 30.44 - int(months)) < 1, name


@pytest.mark.parametrize(("name", "text"), list(sections(FRAMEWORKS, 2).items())[:-1])
def test_a_framework_says_what_it_is_for_and_what_a_move_takes(name, text):
    assert "**For** " in text and "**Notebook 02**: " in text

"""`fedlearn claims`: runs that are kept, margins, a page whose other parts stay, and claims that do not hold."""

import sys
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.claims import Claim, Variant
from workbook_tools.cli import app
from workbook_tools.execution import claims as trying
from workbook_tools.execution.claims import DEFAULT, Lesson, Outcome, broken, outcome_of, page_of, section_of
from workbook_tools.execution.sweeps import OK, Finished

FOLDER = Path(__file__).parents[2] / "notebooks"
POSITIVE = Claim("results", "Accuracies are above 0.", lambda metrics: [metrics["test_accuracy"]])
RATE = Claim(
    "helper", "The rate is above | 0.", lambda metrics: [metrics["curve"][0]], unit="units", fails="a low rate"
)
LARGE = Claim("results", "The rate is above 1.", lambda metrics: [metrics["curve"][0] - 1], only=("rate 2",))
VARIANTS = (Variant("rate 2", {"rate": 2.0, "seed": 7}), Variant("a low rate", {"rate": -0.5}))


@pytest.fixture
def claimed(workbook_without_exercises, monkeypatch):
    """A function: gives the quick notebook claims."""

    def give(claims, variants=VARIANTS):
        module = types.ModuleType("claims")
        module.CLAIMS, module.VARIANTS = claims, variants
        monkeypatch.setattr(trying.importlib.util, "find_spec", lambda name: module)
        monkeypatch.setitem(sys.modules, "fedlearn_helpers.lessons.start_here.claims", module)
        return workbook_without_exercises

    return give


def call(*arguments):
    return CliRunner().invoke(app, ["claims", "--output", "claims.md", "--runs", "runs", *arguments])


@pytest.mark.slow
def test_claims_are_tried_with_five_seeds_and_in_variants_and_runs_are_kept(claimed):
    folder = claimed((POSITIVE, RATE))
    (folder / "claims.md").write_text(
        "# Claims\n\nOld.\n\n## 00 Start here\n\nAn earlier table.\n\n## 09 Another\n\nIts table.\n"
    )
    first = call()
    assert first.exit_code == 0, first.output
    assert first.output.count(", the notebook's own: ") == 5 and first.output.count(", ok") == 9
    page = (folder / "claims.md").read_text()
    assert "| 5 of 5 |" in page and "[helper](<../notebooks/00_start_here.ipynb#A-quick-notebook>)" in page
    assert "The rate is above \\| 0. " in page and "+0.1 ± 0 units" in page
    assert "| +2 ± 0 units, 2 of 2 | **−0.5 ± 0 units**, 0 of 2 | a low rate |" in page
    assert "*rate 2*: `rate = 2.0`, `seed = 7`" in page
    assert page.endswith("## 09 Another\n\nIts table.\n") and "An earlier table" not in page
    claimed((POSITIVE, LARGE))
    again = call("--only-default")
    assert again.exit_code == 1 and ", ok" not in again.output
    assert "00_start_here, results: The rate is above 1. Not so in: the notebook's own." in again.output
    assert "rate 2" not in (folder / "claims.md").read_text()


@pytest.mark.slow
def test_a_run_that_fails_breaks_the_claim_and_nothing_else(claimed):
    folder = claimed((POSITIVE,), (Variant("too large", {"rate": 7}),))
    result = call()
    assert result.exit_code == 1
    assert "Not so in: too large." in result.output
    assert "**failed: AssertionError: rate is too large**, – " in (folder / "claims.md").read_text()


@pytest.mark.parametrize(
    ("claim", "variants", "sentence"),
    [
        (Claim("nowhere", "", list), (), "a claim's cell must be one of 00_start_here.ipynb, got 'nowhere'"),
        (LARGE, (), "a claim must be only of variants of its lesson, got rate 2"),
        (POSITIVE, (Variant("a", {"rat": 1}),), "parameter must be one of name, output_dir, rate, seed, got 'rat'"),
    ],
)
def test_mistakes_are_one_sentence_before_anything_runs(claimed, monkeypatch, claim, variants, sentence):
    claimed((claim,), variants)
    monkeypatch.setattr(trying, "perform", lambda *_: pytest.fail("it ran"))
    result = call()
    assert result.exit_code == 1 and result.output.strip() == f"InputError: {sentence}"


def test_a_notebook_without_claims_is_left_out(workbook, monkeypatch):
    monkeypatch.setattr(trying.importlib.util, "find_spec", lambda name: None)
    assert "0 claims of 0 notebooks" in call().output


def test_a_notebook_that_runs_several_seeds_itself_is_run_once():
    lesson = Lesson(FOLDER / "05_strategies.ipynb", (), (Variant("short", {"num_rounds": 2}),))
    own, short = map(lesson.sweep, lesson.settings())
    assert [len(own.seeds), len(short.seeds)] == [1, 1]
    assert own.values == {"num_seeds": [5]} and short.values == {"num_rounds": [2], "num_seeds": [3]}


@pytest.mark.parametrize(
    ("margins", "holds"),
    [([1, 1, 1, 1, -1], True), ([1, 1, 1, -1, -1], False), ([1, 1, 1, 1, -9], False), ([1, -0.1], False), ([], False)],
)
def test_a_claim_holds_with_four_of_five_seeds_and_on_the_mean(margins, holds):
    assert Outcome(margins).holds == holds


def test_margins_come_seed_by_seed_from_all_runs_and_what_cannot_be_computed_is_said():
    runs = [Finished(OK, {"test_accuracy": [0.25, 0.5]}, Path()), Finished(OK, {"test_accuracy": [1]}, Path())]
    assert outcome_of(Claim("a", "", lambda metrics: metrics["test_accuracy"]), runs) == Outcome([0.25, 0.5, 1.0])
    assert outcome_of(Claim("a", "", lambda metrics: metrics["loss"]), runs) == Outcome((), "KeyError: 'loss'")
    assert outcome_of(Claim("a", "", lambda metrics: []), runs).problem == "no margins"


def test_points_are_percentage_points_and_known_failures_are_accepted():
    lesson = Lesson(FOLDER / "05_strategies.ipynb", (POSITIVE,), (Variant("short"), Variant("long")))
    claim = Claim("title", "A is above B.", list, fails="short runs")
    found = {DEFAULT.name: Outcome([0.01, 0.03]), "short": Outcome([-0.01]), "long": Outcome([0.01, -0.02])}
    heading, table = section_of(Lesson(lesson.notebook, (claim,), lesson.variants), [found])
    assert heading == "05 Strategies"
    row = table.splitlines()[2]
    assert row == (
        "| A is above B. | [title](<../notebooks/05_strategies.ipynb#Strategies>) | +2.0 ± 1.4 points | 2 of 2 "
        "| **−1.0 points**, 0 of 1 | **−0.5 ± 2.1 points**, 1 of 2 | short runs |"
    )
    assert broken(claim, found) == ["long"]


def test_sections_stand_in_order_and_those_not_run_stay():
    before = page_of({"02 B": "b", "00 A": "a\n\nmore"})
    assert page_of({"01 C": "c"}, before) == page_of({"00 A": "a\n\nmore", "01 C": "c", "02 B": "b"})


def test_the_page_of_the_project_is_what_the_command_writes():
    page = (FOLDER.parent / "docs" / "claims.md").read_text(encoding="utf-8")
    assert page == page_of({}, page)


def test_claims_that_name_no_cell_are_refused_when_read(claimed):
    claimed((Claim("nowhere", "", list),))
    with pytest.raises(InputError, match="a claim's cell"):
        trying.lesson_of(Path("notebooks/00_start_here.ipynb"))

"""`fedlearn grade --projects`: points and sentences for a good project, a poor one, and what is none."""

import json
import math
import os
import shutil
import sys
from pathlib import Path
from random import Random

import pandas as pd
import pytest
from made_projects import edit, good_project, poor_project
from typer.testing import CliRunner

from fedlearn_helpers.project import RUBRIC, rubric_table
from fedlearn_helpers.project.checks import CHECKS
from fedlearn_helpers.project.reading import LARGEST_FILE, read_project
from fedlearn_helpers.project.rubric import COUNTED, JUDGED
from workbook_tools.cli import app

VALUES = (
    None,
    True,
    0,
    -1,
    10**4000,
    1e999,
    math.nan,
    "",
    "x" * 5000,
    "\ud800",
    "=1+1",
    [],
    {},
    [[]],
    {"a": {}},
    0.123,
)
PAGE = Path(__file__).parents[2] / "docs" / "project.md"


def grade(folder, *options):
    output = folder.parent / "grades"
    result = CliRunner().invoke(app, ["grade", str(folder), "--projects", "--output", str(output), *options])
    assert result.exit_code == 0, result.output
    table = pd.read_csv(output / "projects.csv", keep_default_na=False, dtype={"code": str})
    return table, (output / "projects.md").read_text(encoding="utf-8"), result.output


@pytest.fixture
def projects(tmp_path):
    folder = tmp_path / "handed in"
    good_project(folder / "ada")
    good_project(folder / "ben" / "work", gain=-0.04, outcome="refuted")
    poor_project(folder / "cyd")
    good_project(folder / "dan", gain=-0.04, outcome="confirmed")
    return folder


def points(table, project):
    mine = table[table["project"] == project]
    return {one.criterion: int(one.points) for one in mine.itertuples() if one.points != ""}


def reason(table, project, criterion):
    (text,) = table[(table["project"] == project) & (table["criterion"] == criterion)]["reason"]
    return text


FULL = {criterion.name: criterion.most for criterion in COUNTED}


def test_good_and_poor_projects_get_points_with_reasons(projects):
    table, page, said = grade(projects)
    assert points(table, "ada") == FULL and sum(FULL.values()) == 60
    assert points(table, "cyd") == dict.fromkeys(FULL, 0) | {"Sound numbers": 4}
    for criterion, sentence in {
        "Prediction": "wrong: plan.json was changed after it was written (and 1 more)",
        "Reference lines": "missing: no run of 'local only' is recorded in 'many kinds of wind'; "
        "missing: no run of 'centralized' is recorded in 'many kinds of wind'",
        "Seeds": "wrong: 3 seeds of each are needed, and fedavg has 0, scaffold has 1; "
        "missing: there is no seed with both scaffold and fedavg",
        "Every client": "missing: no run of 'fedavg' is recorded in 'many kinds of wind'",
        "Equal budget": "wrong: scaffold in 'many kinds of wind' with seed 0 has 25 rounds, and planned were 10",
        "Sound numbers": "done: 1 record, finite, with hashes that fit, each mean that of its clients; "
        f"code of the last: {read_project(projects / 'cyd').last_code}",
        "Tried to break it": "missing: the plan has one setting only: none tries to break the claim",
        "Conclusion": "wrong: it says confirmed, on 0 paired seeds: 3 are needed to say anything; "
        "missing: a limitation and what became of the threat must be written down",
    }.items():
        assert reason(table, "cyd", criterion) == sentence
    assert "ada: 60 of 60 points counted, 40 to judge" in said and "cyd: 4 of 60 points counted" in said
    assert "## cyd" in page and "plan.json was changed after it was written" in page


def test_to_refute_a_claim_counts_as_much_as_to_confirm_it(projects):
    table, _, _ = grade(projects)
    assert points(table, "ben/work") == points(table, "ada") == FULL
    assert reason(table, "ben/work", "Conclusion").startswith("done: it says refuted, and so do the numbers: -0.039")
    assert points(table, "dan") == FULL | {"Conclusion": 2}
    assert "wrong: it says confirmed, and by -0.039 ± 0.001 over 3 seeds the claim is refuted" in reason(
        table, "dan", "Conclusion"
    )


def test_what_an_instructor_judges_has_levels_and_no_points(projects):
    table, page, _ = grade(projects)
    mine = table[(table["project"] == "ada") & (table["points"] == "")]
    assert mine["criterion"].tolist() == [criterion.name for criterion in JUDGED] and mine["most"].sum() == 40
    assert mine["reason"].str.match("to judge: 1[24] for: .*; 0 for: ").all()
    assert page.count("|  | 14 | to judge:") == 2 * 4


def test_one_project_is_graded_alone_and_shows_the_code_of_its_plan(projects):
    table, _, said = grade(projects / "ada")
    assert set(table["project"]) == {"ada"} and len(table) == len(RUBRIC)
    (code,) = set(table["code"])
    assert len(code) == 32 and f"plan {code}" in said


def test_grading_executes_and_changes_nothing(projects):
    (projects / "ada" / "conftest.py").write_text("raise SystemExit('executed')")
    (projects / "ada" / "sitecustomize.py").write_text("raise SystemExit('executed')")
    before = {path: path.read_bytes() for path in projects.rglob("*") if path.is_file()}
    grade(projects)
    assert {path: path.read_bytes() for path in projects.rglob("*") if path.is_file()} == before


def test_what_is_no_project_is_named(tmp_path):
    folder = tmp_path / "in"
    good_project(folder / "ada")
    (folder / "eve").mkdir()
    (folder / "eve" / "report.pdf").write_text("a report")
    (folder / "fay.zip").write_text("a zip")
    (folder / "gus").symlink_to(folder / "ada")
    (folder / ".hidden").mkdir()
    table, page, said = grade(folder)
    others = {one.project: one.reason for one in table.itertuples() if not one.criterion}
    assert set(others) == {"eve", "fay.zip", "gus"}
    assert others["eve"] == "none of plan.json, results.json and conclusion.json is in it"
    assert others["fay.zip"].startswith("not a folder: unpack archives")
    assert "eve: not marked, none of plan.json" in said and "Not marked: not a folder" in page


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plan.json", "results.json", "conclusion.json"])
@pytest.mark.parametrize("content", ["", "[" * 100_000, " " * (LARGEST_FILE + 1)], ids=["empty", "deep", "huge"])
def test_broken_files_cost_points_and_nothing_else_fails(tmp_path, name, content):
    good_project(tmp_path / "in" / "ada")
    good_project(tmp_path / "in" / "ben")
    (tmp_path / "in" / "ada" / name).write_text(content)
    table, _, _ = grade(tmp_path / "in")
    assert points(table, "ben") == FULL
    lost = {criterion for criterion, count in points(table, "ada").items() if count < FULL[criterion]}
    first = {"plan.json": "Prediction", "results.json": "Sound numbers", "conclusion.json": "Conclusion"}[name]
    assert first in lost and f"wrong: {name} cannot be used: it must" in reason(table, "ada", first)


def test_a_folder_without_a_plan_gets_no_points_for_it(tmp_path):
    good_project(tmp_path / "in" / "ada")
    (tmp_path / "in" / "ada" / "plan.json").unlink()
    table, _, _ = grade(tmp_path / "in")
    assert points(table, "ada") == dict.fromkeys(FULL, 0) | {"Sound numbers": 4}
    assert reason(table, "ada", "Prediction") == "missing: there is no plan.json"


def test_numbers_that_contradict_each_other_are_named(tmp_path):
    good_project(tmp_path / "in")
    edit(tmp_path / "in" / "results.json", lambda content: content["records"][0].update(mean=0.95))
    table, _, _ = grade(tmp_path / "in")
    assert points(table, "in")["Sound numbers"] == 0
    assert "has the mean 0.95, and that of its clients is 0.5" in reason(table, "in", "Sound numbers")


def test_a_text_of_a_stranger_makes_no_markup(tmp_path):
    good_project(tmp_path / "in" / "<b>|x")
    edit(tmp_path / "in" / "<b>|x" / "results.json", lambda c: c["records"][0].update(setting="<script>|[a](b)"))
    _, page, _ = grade(tmp_path / "in")
    assert "<script>" not in page.replace("\\<", "") and "## \\<b\\>\\|x" in page


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_put_into_a_file_there_are_points_and_reasons(tmp_path, seed):
    """A value somewhere in one of the files is replaced, or a key removed."""
    random = Random(seed)
    good_project(tmp_path / "in")

    def change(content):
        inside = content
        while True:
            keys = list(inside) if isinstance(inside, dict) else range(len(inside))
            key = random.choice(keys)
            if isinstance(inside[key], dict | list) and inside[key] and random.random() < 0.8:
                inside = inside[key]
                continue
            if random.random() < 0.2:
                del inside[key]
            else:
                inside[key] = random.choice([value for value in VALUES if value != inside[key]])
            return

    name = random.choice(["plan.json", "results.json", "results.json", "conclusion.json"])
    edit(tmp_path / "in" / name, change)
    table, page, _ = grade(tmp_path / "in")
    assert len(points(table, "in")) == len(FULL) and sum(points(table, "in").values()) < 60
    assert table["reason"].str.len().between(10, 900).all() and ("wrong: " in page or "missing: " in page)


def test_names_of_folders_are_shown_as_text(tmp_path):
    good_project(tmp_path / "in" / "=1+1")
    (tmp_path / "in" / "a\x1b[2J").mkdir()
    table, _, said = grade(tmp_path / "in")
    assert set(table["project"]) == {"'=1+1", "a\\x1b[2J"} and "\x1b" not in said


@pytest.mark.skipif(sys.platform != "linux", reason="others refuse such names")
def test_names_that_can_hardly_be_told_apart_are_two_projects(tmp_path):
    names = [b"M\xfcller", b"M\xf6ller", b"M\\udcfcller", b"\x85", b"\xc2\x85", b"=1", b"'=1"]
    for number, name in enumerate(names):
        good_project(tmp_path / "one")
        os.makedirs(tmp_path / "in", exist_ok=True)
        os.rename(tmp_path / "one", os.fsencode(tmp_path / "in") + b"/" + name)
        assert len(os.listdir(tmp_path / "in")) == number + 1
    table, _, said = grade(tmp_path / "in")
    assert table["project"].nunique() == len(names) and said.count("60 of 60 points counted") == len(names)
    assert {"M\\udcfcller", "M\\udcf6ller", "M\\\\udcfcller"} < set(table["project"])


def test_a_file_above_projects_hides_none(tmp_path):
    folder = tmp_path / "in"
    good_project(folder / "ada" / "first plan")
    good_project(folder / "ada" / "first plan" / "and" / "second plan")
    (folder / "ada" / "results.json").write_text('{"my": "own"}')
    good_project(folder / "ben")
    (folder / "cyd").mkdir()
    (folder / "cyd" / "conclusion.json").write_text("{}")
    (folder / "results.json").write_text("{}")
    table, _, _ = grade(folder)
    full = ["ada/first plan", "ada/first plan/and/second plan", "ben"]
    assert list(table["project"].unique()) == [*full, "cyd", "results.json"]
    assert all(points(table, name) == FULL for name in full)
    assert sum(points(table, "cyd").values()) == 0 and points(table, "results.json") == {}
    (folder / "plan.json").write_text("{}")
    table, _, _ = grade(folder)
    assert set(table["project"]) == {".", *full, "cyd", "plan.json", "results.json"}
    assert all(points(table, name) == FULL for name in full) and sum(points(table, ".").values()) == 0


@pytest.mark.parametrize("what", ["nothing", "empty", "file"])
def test_no_folder_of_projects_is_one_sentence(tmp_path, what):
    path = tmp_path / "in"
    {"nothing": lambda: None, "empty": path.mkdir, "file": lambda: path.write_text("x")}[what]()
    result = CliRunner().invoke(app, ["grade", str(path), "--projects", "--output", str(tmp_path / "out")])
    assert result.exit_code == 1 and "InputError: submissions must be a folder of projects, got" in result.output
    assert not (tmp_path / "out").exists()


# The rubric -------------------------------------------------------------------------------


def test_the_rubric_has_a_hundred_points_and_counts_each_check_once():
    assert sum(criterion.most for criterion in RUBRIC) == 100 and 9 <= len(RUBRIC) <= 12
    counted = [check for criterion in COUNTED for check in criterion.points]
    assert sorted(counted) == sorted(CHECKS)
    for criterion in JUDGED:
        assert list(criterion.levels) == sorted(criterion.levels, reverse=True) and min(criterion.levels) == 0


def test_the_page_has_the_rubric():
    """If this fails: put what `rubric_table()` returns into the page."""
    assert rubric_table() in PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_of_the_page_is_a_plan_and_its_checks(tmp_path, monkeypatch, capsys):
    blocks = PAGE.read_text(encoding="utf-8").split("```python\n")[1:]
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks:
        exec(compile(block.partition("```")[0], "docs/project.md", "exec"), names)
    assert json.loads((tmp_path / "project" / "plan.json").read_text())["plan"]["field"]
    checks = names["project"].check().set_index("check")["state"]
    assert set(checks.drop("conclusion")) == {"done"} and checks["conclusion"] in ("done", "wrong")
    shutil.rmtree(tmp_path / "project")

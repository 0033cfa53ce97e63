"""How a submission is put into the workbook's notebook, and what becomes of a module of exercises in the edition."""

import importlib
import json
import sys
from pathlib import Path

import nbformat
import pytest

from fedlearn_helpers import algorithms, training
from fedlearn_helpers.errors import InputError
from workbook_tools.editions.colab import build_edition
from workbook_tools.editions.graded.cells import binds, checked_exercise, find_exercises
from workbook_tools.editions.graded.edition import _without_solutions, write_edition
from workbook_tools.grading import version_0_1
from workbook_tools.grading.grade import originals
from workbook_tools.grading.judgement import Execution, judge
from workbook_tools.grading.submission import Merged, merge
from workbook_tools.grading.verdict import _check

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "04_non_iid_data.ipynb"
ORIGINALS = {"non_iid_data": NOTEBOOK}


def hand_in(path, change):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)
    return merge(path, ORIGINALS, "token")


def cell_of(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def new_cell(source):
    return nbformat.v4.new_code_cell(source)


def test_the_exercises_of_a_notebook_are_found():
    first, second, third = find_exercises(nbformat.read(NOTEBOOK, as_version=4))
    assert (first.name, first.number, first.answer, first.given) == ("three_classes_distance", 1, "prediction", "")
    assert (second.stub, second.check) == ("exercise-shards-answer", "exercise-shards-check")
    assert third.given == "mean_distance=mean_distance, goal=goal"


@pytest.mark.parametrize("source", ["exercises.x.hint()", "other.x.check(1)", "def (", "x = 1", "%pip install y"])
def test_other_cells_are_no_checks(source):
    assert checked_exercise(source) is None


def test_a_notebook_handed_out_by_version_0_1_is_graded(tmp_path):
    def of_version_0_1(notebook):
        cell_of(notebook, "check-parameters").source = (
            "from fedlearn_helpers.exercises import non_iid_data as exercises\n"
            "from fedlearn_helpers.parameters import NonIidParameters, check_parameters\n"
            "parameters = check_parameters(NonIidParameters, globals())"
        )
        cell_of(notebook, "exercise-two-classes-answer").source = "prediction = 0.7"

    merged = hand_in(tmp_path / "one.ipynb", of_version_0_1)
    assert cell_of(merged.notebook, "exercise-two-classes-answer").source == "prediction = 0.7"
    ours = cell_of(nbformat.read(NOTEBOOK, as_version=4), "check-parameters").source
    assert cell_of(merged.notebook, "check-parameters").source == ours, "it is executed as it is here"
    assert merged.changed == ["check-parameters"] and not merged.missing
    position = merged.notebook.cells.index(cell_of(merged.notebook, "check-parameters"))
    names = {"new_cnn": "of the notebook"}
    exec(merged.notebook.cells[position + 1].source, names)
    assert names["evaluate"] is training.evaluate and names["average_models"] is algorithms.weighted_mean
    assert names["new_cnn"] == "of the notebook"
    of_now = hand_in(tmp_path / "two.ipynb", lambda notebook: None)
    assert len(of_now.notebook.cells) == len(merged.notebook.cells) - 1, "only those of version 0.1 get them"


def test_names_of_version_0_1_are_still_there():
    for module, name in version_0_1.names().values():
        assert hasattr(importlib.import_module(module), name)


def test_answers_and_added_cells_are_theirs_and_all_else_is_ours(tmp_path):
    def change(notebook):
        cell_of(notebook, "parameters").source = "num_rounds = 100_000"
        cell_of(notebook, "exercise-two-classes-check").source = "print('correct')"
        cell_of(notebook, "exercise-two-classes-answer").source = "prediction = 0.5"
        position = notebook.cells.index(cell_of(notebook, "exercise-shards-answer"))
        notebook.cells.insert(position, new_cell("my_own = 1"))
        notebook.cells.insert(0, new_cell("%pip install flwr"))

    merged = hand_in(tmp_path / "one.ipynb", change)
    sources = [cell.source for cell in merged.notebook.cells]
    assert "prediction = 0.5" in sources and merged.missing == set()
    assert sources.index("my_own = 1") < sources.index(cell_of(merged.notebook, "exercise-shards-answer").source)
    text = "\n".join(sources)
    for not_theirs in ("100_000", "print('correct')", "%pip"):
        assert not_theirs not in text
    assert "show_verdict" in cell_of(merged.notebook, "exercise-two-classes-check").source


def new_ids(notebook):
    for number, cell in enumerate(notebook.cells):
        cell.id = f"new-{number}"
        cell.metadata.pop("tags", None)


def ids_of_colab(notebook):
    for cell in notebook.cells:
        cell.metadata["id"] = cell.pop("id")
    notebook.nbformat_minor = 0


def ids_of_colab_made_anew(notebook):
    new_ids(notebook)
    ids_of_colab(notebook)


def ids_of_colab_and_of_an_editor_after_it(notebook):
    for number, cell in enumerate(notebook.cells):
        cell.metadata["id"], cell.id = cell.id, f"new-{number}"


def ids_in_an_older_format(notebook):  # "Additional properties are not allowed ('id' was unexpected)"
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        cell.pop("outputs", None)


@pytest.mark.parametrize(
    "editor",
    [new_ids, ids_of_colab, ids_of_colab_made_anew, ids_of_colab_and_of_an_editor_after_it, ids_in_an_older_format],
)
def test_answers_are_found_whatever_an_editor_does_to_ids(editor, tmp_path):
    def change(notebook):
        cell_of(notebook, "exercise-two-classes-answer").source = "prediction = 0.5"
        cell_of(notebook, "exercise-shards-answer").source = "def deal_shards(*arguments):\n    return mine(*arguments)"
        before, behind = (
            notebook.cells.index(cell_of(notebook, f"exercise-shards-{which}")) for which in ("answer", "check")
        )
        notebook.cells.insert(behind, new_cell("deal_shards(labels, 2, 2, 0)  # a trial"))
        notebook.cells.insert(before, new_cell("mine = print"))
        editor(notebook)

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    change(notebook)
    (tmp_path / "one.ipynb").write_text(json.dumps(notebook))
    merged = merge(tmp_path / "one.ipynb", ORIGINALS, "token")
    assert cell_of(merged.notebook, "exercise-two-classes-answer").source == "prediction = 0.5"
    assert "mine(*arguments)" in cell_of(merged.notebook, "exercise-shards-answer").source
    added = [cell.source for cell in merged.notebook.cells if "added" in cell.metadata.get("tags", [])]
    assert added == ["mine = print", "deal_shards(labels, 2, 2, 0)  # a trial"]
    assert merged.missing == set() and merged.changed == []


@pytest.mark.parametrize("editor", [lambda notebook: None, new_ids])
def test_a_title_above_folded_code_is_no_change(editor, tmp_path):
    def change(notebook):
        cell = next(cell for cell in notebook.cells if cell.cell_type == "code" and "import" in cell.source)
        cell.source = f"# @title Imports\n{cell.source}"
        editor(notebook)

    merged = hand_in(tmp_path / "one.ipynb", change)
    added = [cell for cell in merged.notebook.cells if "added" in cell.metadata.get("tags", [])]
    assert merged.changed == [] and added == []


@pytest.mark.parametrize("editor", [lambda notebook: None, ids_of_colab_and_of_an_editor_after_it])
def test_changes_elsewhere_are_named(editor, tmp_path):
    def change(notebook):
        source = cell_of(notebook, "parameters").source
        cell_of(notebook, "parameters").source = source.replace("seed: int = 0", "seed: int = 7")
        editor(notebook)

    merged = hand_in(tmp_path / "one.ipynb", change)
    assert merged.changed == ["parameters"]
    assert "seed: int = 0" in cell_of(merged.notebook, "parameters").source


def test_a_submission_uses_no_more_workers_than_it_is_given(tmp_path):
    nbformat.write(nbformat.read(NOTEBOOK, as_version=4), tmp_path / "one.ipynb")
    cells = merge(tmp_path / "one.ipynb", ORIGINALS, "token", workers=3).notebook.cells
    places = [place for place, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    assert cells[places[0] + 1].source == "workers = 3"


def test_an_answer_that_was_deleted_is_not_attempted(tmp_path):
    def change(notebook):
        cell_of(notebook, "exercise-two-classes-answer").source = " "

    merged = hand_in(tmp_path / "one.ipynb", change)
    assert cell_of(merged.notebook, "exercise-two-classes-answer").source.startswith("prediction = ...")


def test_a_workbook_in_which_somebody_has_answered_is_refused(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.write(notebook, folder / NOTEBOOK.name)
    assert list(originals(folder)) == ["non_iid_data"]
    cell_of(notebook, "exercise-two-classes-answer").source = "prediction = 0.7"
    nbformat.write(notebook, folder / NOTEBOOK.name)
    for refuse in (
        originals,
        lambda folder: write_edition(folder, tmp_path / "edition"),
        lambda folder: build_edition(folder / NOTEBOOK.name),
    ):
        with pytest.raises(InputError, match="must have no answers, got one in the cell 'exercise-two-classes-answer'"):
            refuse(folder)
    assert not (tmp_path / "edition").exists()


def test_what_a_lecturer_has_run_is_not_handed_out(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cell_of(notebook, "parameters").outputs = [nbformat.v4.new_output("stream", text="seen")]
    for name in (NOTEBOOK.name, "Untitled.ipynb"):
        nbformat.write(notebook, folder / name)
    write_edition(folder, tmp_path / "edition")
    (handed_out,) = (tmp_path / "edition" / "notebooks").iterdir()
    assert handed_out.name == NOTEBOOK.name and '"seen"' not in handed_out.read_text()


@pytest.mark.parametrize(
    ("source", "bound"),
    [
        ("x = 1", True),
        ("def x(): ...", True),
        ("a, (x, b) = c", True),
        ("from m import y as x", True),
        ("for x in y:\n    pass", True),
        ("x(1)", False),
        ("def f():\n    x = 1", False),
        ("[x for x in y]", False),
        ("x =", False),
    ],
)
def test_what_defines_an_answer(source, bound):
    assert binds(source, "x") == bound


def test_a_cell_that_was_deleted_is_missing(tmp_path):
    def change(notebook):
        gone = ("exercise-shards-answer", "exercise-shards-check")
        notebook.cells = [cell for cell in notebook.cells if cell.id not in gone]

    merged = hand_in(tmp_path / "one.ipynb", change)
    assert merged.missing == {"shard_split"}
    assert "return ..." in cell_of(merged.notebook, "exercise-shards-answer").source


@pytest.mark.parametrize("content", ["", "[]", '{"cells": 3}', '{"nbformat": 9, "nbformat_minor": 0, "cells": []}'])
def test_what_is_no_notebook_is_one_sentence(content, tmp_path):
    (tmp_path / "one.ipynb").write_text(content)
    with pytest.raises(InputError, match=r"^one\.ipynb must be a Jupyter notebook, got [^\n]*$"):
        merge(tmp_path / "one.ipynb", ORIGINALS, "token")


def test_another_notebook_is_one_sentence(tmp_path):
    nbformat.write(nbformat.v4.new_notebook(cells=[new_cell("x = 1")]), tmp_path / "one.ipynb")
    with pytest.raises(InputError, match="must be one of the workbook's notebooks"):
        merge(tmp_path / "one.ipynb", ORIGINALS, "token")


def test_a_verdict_is_that_of_the_package_on_disk_and_memory_stays_as_it_was(monkeypatch):
    from fedlearn_helpers.lessons.non_iid_data import exercises as non_iid_data

    root = str(NOTEBOOK.parents[1])
    monkeypatch.setattr(non_iid_data.three_classes_distance, "test", lambda answer: "patched")
    before, path = dict(sys.modules), list(sys.path)
    assert non_iid_data.three_classes_distance.check(0.2).status == "correct"
    assert _check(root, "non_iid_data", "three_classes_distance", 0.2, {})[0] == "not yet"
    assert _check(root, "non_iid_data", "three_classes_distance", 0.7, {})[0] == "correct"
    status, message = _check(root, "non_iid_data", "twice_chance", 1.0, {})
    assert status == "crashed" and "mean_distance" in message
    ours = [name for name in before if name.startswith("fedlearn_helpers")]
    assert all(sys.modules[name] is before[name] for name in ours) and sys.path == path


MODULE = '''
"""Exercises."""
import math
import random
from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet
LIMIT, OTHER = 3, 4
def double(x):
    return x * 2
def _rejects(value):
    if value > LIMIT:
        raise NotYet(math.pi)
def _test_honest(answer):
    return _rejects(answer(1))
def _test_by_solution(answer):
    assert answer(1) == double(1)
honest = Exercise("honest", "code", "easy", 1, hints=("one", "two"), solution_code=double, test=_test_honest)
by_solution = Exercise("by", "code", "easy", 1, hints=("one", "two"), solution_code=double, test=_test_by_solution)
guess = Exercise("guess", "predict", "easy", 1, hints=("one", "two"), solution_code="x = 42", test=lambda answer: "!")
'''


def test_the_edition_keeps_the_tests_of_functions_unless_they_call_the_solution(tmp_path, monkeypatch):
    (tmp_path / "made_up_exercises.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import made_up_exercises

    rewritten = _without_solutions(made_up_exercises)
    for gone in ("x * 2", "42", "two", "random", "double", "_test_by_solution", "'!'"):
        assert gone not in rewritten
    namespace = {}
    exec(rewritten, namespace)
    assert namespace["honest"].check(lambda x: 9).status == "not yet"
    assert namespace["by_solution"].check(lambda x: 9).status == "handed in"
    assert (
        namespace["guess"].check(42).status == "handed in" and namespace["guess"].check(...).status == "not attempted"
    )
    assert {namespace[name].solution_source for name in ("honest", "by_solution", "guess")} == {""}


def judged(*events, too_late="", last_words="OSError: No space left on device"):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    merged = Merged(NOTEBOOK, notebook, find_exercises(notebook)[:1], set(), [])
    (grade,) = judge("one", merged, Execution(events, too_late, last_words), "")
    return grade.status, grade.message


STARTED = {"what": "started", "cell": "exercise-two-classes-answer"}
FAILED = {"what": "error", "cell": "exercise-two-classes-answer", "error": "SyntaxError: x"}


def verdict(status):
    return {"what": "verdict", "name": "three_classes_distance", "status": status, "message": "said"}


@pytest.mark.parametrize(
    ("events", "more", "status", "message"),
    [
        ([], {}, "not executed", "no kernel came up: OSError"),
        ([], {"too_late": "the time of 9 s was up"}, "not executed", "no kernel came up: the time of 9 s was up"),
        ([STARTED], {}, "not executed", "it was ended in exercise 04.1: OSError"),
        ([STARTED], {"too_late": "the time of 9 s was up"}, "timed out", "the time of 9 s was up in exercise 04.1"),
        ([STARTED, {"what": "died", "cell": ""}], {}, "crashed", "the kernel died in exercise 04.1"),
        ([STARTED, FAILED, {"what": "finished"}], {}, "crashed", "SyntaxError: x"),
        ([STARTED, FAILED, verdict("crashed")], {}, "crashed", "SyntaxError: x"),
        ([STARTED, verdict("crashed")], {}, "crashed", "said"),
        ([STARTED, FAILED, verdict("correct")], {}, "correct", "said"),
        ([STARTED, verdict("not yet")], {}, "wrong", "said"),
        ([STARTED, {"what": "finished"}], {}, "crashed", "the check gave no verdict"),
    ],
)
def test_what_happened_decides_the_status(events, more, status, message):
    found = judged(*events, **more)
    assert found[0] == status and found[1].startswith(message)

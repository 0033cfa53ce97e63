"""`fedlearn student`: the edition has no solutions, and its notebooks run."""

import ast
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from fedlearn_helpers.lessons.common.exercise import Exercise
from workbook_tools.cli import app
from workbook_tools.editions.graded.edition import exercise_modules
from workbook_tools.editions.graded.sealed import seal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXERCISES = [
    (module.__name__, value)
    for module in exercise_modules()
    for value in vars(module).values()
    if isinstance(value, Exercise)
]


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    output = tmp_path_factory.mktemp("student") / "edition"
    result = CliRunner().invoke(app, ["student", "--folder", str(ROOT / "notebooks"), "--output", str(output)])
    assert result.exit_code == 0, result.output
    assert f"{len(EXERCISES)} exercises, without solutions" in result.output
    return output


def python(edition, code):
    environment = os.environ | {"PYTHONPATH": str(edition)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=edition, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def code_without_comments(text):
    """Return a program as Python writes it, so that spaces and quotes make no difference."""
    return ast.unparse(ast.parse(text))


def bodies(source):
    """Return the statements that make up a solution, without names, docstrings and signatures."""
    found = []
    for statement in ast.parse(source).body:
        inner = [node for node in ast.walk(statement) if isinstance(node, ast.FunctionDef)]
        for part in itertools.chain.from_iterable(node.body for node in inner) if inner else [statement]:
            if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)):
                found.append(ast.unparse(part))
    return found


def test_no_file_of_the_edition_has_the_source_of_a_solution(edition):
    files = [*(edition / "fedlearn_helpers").rglob("*.py"), *(edition / "notebooks").glob("*.ipynb")]
    texts = {}
    for file in files:
        if file.suffix == ".py":
            texts[file] = code_without_comments(file.read_text())
            continue
        cells = [cell.source for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]
        texts[file] = "\n".join(code_without_comments(re.sub(r"^[%!].*$", "", cell, flags=re.M)) for cell in cells)
    assert len(files) > 80
    original = "\n".join(code_without_comments(path.read_text()) for path in (ROOT / "fedlearn_helpers").rglob("*.py"))
    everywhere = {line.strip() for text in texts.values() for line in text.splitlines()}
    for module, exercise in EXERCISES:
        whole = "\n".join(bodies(exercise.solution_source))
        if callable(exercise.solution_code):  # the search finds what is there to be found
            assert code_without_comments(exercise.solution_source) in original, exercise.name
        solution = code_without_comments(exercise.solution_source)
        for file, text in texts.items():
            assert solution not in text, f"{file} has the solution of {module}.{exercise.name}"
        own = [line.strip() for line in whole.splitlines() if len(line.strip()) > 30]
        assert not own or not all(line in everywhere for line in own), exercise.name  # some are in the question


def test_the_package_of_the_edition_says_that_it_has_no_solutions(edition):
    names = [(module, exercise.name) for module, exercise in EXERCISES]
    code = f"""
import importlib, io, json, contextlib
found = []
for module, name in {names!r}:
    exercise = getattr(importlib.import_module(module), name)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exercise.solution()
    facts = [printed.getvalue(), exercise.solution_source, exercise.solution_code, len(exercise.hints), exercise.kind]
    found.append([*facts, exercise.test is not None])
print(json.dumps(found))
"""
    found = json.loads(python(edition, code))
    assert len(found) == len(EXERCISES)
    for printed, source, solution, hints, kind, has_test in found:
        assert printed == "There are no solutions in this edition: it is for graded work.\n"
        assert (source, solution, hints) == ("", None, 1)
        assert kind == "code" or not has_test, "the test of a prediction gives the answer away"
    assert any(has_test for *_, has_test in found)


def test_functions_that_are_solutions_and_are_needed_elsewhere_still_work(edition):
    code = """
import inspect, numpy as np
from fedlearn_helpers.availability.devices import steps_in_time
from fedlearn_helpers.metrics import accuracy_per_class
from fedlearn_helpers.lessons.clients_that_come_and_go import exercises
print(steps_in_time(20, 0.5, 2.0, 6.0), accuracy_per_class(np.array([0, 0, 1]), np.array([0, 1, 1]), 2))
print(exercises.partial_steps.check(steps_in_time).status)
print(exercises.partial_steps.check(lambda *arguments: 12).message)
print(exercises.clients_to_ask.check(20).status, "|", exercises.clients_to_ask.check(...).status)
print(exercises.partial_steps.check(lambda *arguments: ...).status)
"""
    lines = python(edition, code).splitlines()
    assert lines[:2] == ["8 [0.5 1. ]", "correct"]
    assert "the model has to travel" in lines[2]
    assert lines[3:] == ["handed in | not attempted", "not attempted"]


def test_exercises_are_numbered(edition):
    for path in (edition / "notebooks").glob("[0-9w][0-9]_*.ipynb"):
        text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
        headings = re.findall(r"^### Exercise (\S+):", text, re.M)
        assert headings == [f"{path.name[:2]}.{number}" for number in range(1, len(headings) + 1)]
        assert "shows a solution" not in text


def test_its_notebooks_for_colab_have_no_solutions_either(edition):
    environment = os.environ | {"PYTHONPATH": str(edition)}
    command = [sys.executable, "-m", "workbook_tools", "colab", "03"]
    subprocess.run(command, cwd=edition, env=environment, capture_output=True, check=True)
    cells = nbformat.read(edition / "build" / "colab" / "03_clients_that_come_and_go.ipynb", as_version=4).cells
    written = {cell.source.split()[1]: cell.source for cell in cells if cell.source.startswith("%%writefile")}
    for name in (
        "lessons/clients_that_come_and_go/exercises.py",
        "availability/devices.py",
    ):  # the second has a solution, packed
        of_edition = (edition / "fedlearn_helpers" / name).read_text().rstrip()
        assert written[f"fedlearn_helpers/{name}"].endswith(of_edition)
        assert of_edition != (ROOT / "fedlearn_helpers" / name).read_text().rstrip()


def test_a_notebook_of_the_edition_runs_with_nothing_attempted(edition):
    environment = os.environ | {"PYTHONPATH": str(edition)}
    small = {"num_rounds": 2, "local_steps": 2, "image_rounds": 2, "num_clients": 3}
    parameters = [part for name, value in small.items() for part in ("-p", f"{name}={value}")]
    command = [sys.executable, "-m", "workbook_tools", "run", "00", *parameters]
    done = subprocess.run(command, cwd=edition, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = nbformat.read(edition / "build" / "00_start_here.ipynb", as_version=4).cells
    checks = [cell.outputs[0]["data"]["text/html"] for cell in cells if "check" in cell.metadata.get("tags", [])]
    assert len(checks) == 3 and all('data-status="not attempted"' in page for page in checks)


def test_an_edition_is_never_written_over_another_folder(tmp_path):
    folders = ["--folder", str(ROOT / "notebooks"), "--output", str(tmp_path)]
    result = CliRunner().invoke(app, ["student", *folders])
    assert result.exit_code == 1
    assert result.output.startswith("InputError: output must be a new folder, got ")
    assert list(tmp_path.iterdir()) == []


def test_the_edition_cannot_grade(edition):
    (edition / "submissions").mkdir(exist_ok=True)
    (edition / "submissions" / "one.ipynb").write_text("{}")
    environment = os.environ | {"PYTHONPATH": str(edition)}
    command = [sys.executable, "-m", "workbook_tools", "grade", "submissions"]
    done = subprocess.run(command, cwd=edition, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("InputError: fedlearn grade needs the workbook itself")


def test_what_is_sealed_comes_out_as_it_was():
    namespace = {}
    exec("".join(seal("def double(x):\n    return 2 * x\n")), namespace)
    assert namespace["double"](4) == 8

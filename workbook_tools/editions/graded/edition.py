"""An edition of the workbook for graded work: numbered exercises, and a package without solutions.

What becomes of an exercise:

- its solution and its second hint, which often is half of the solution, are left out;
- the test of a function stays, so that learners can work with it, unless it calls the solution;
- the tests of predictions and explorations would tell the answer to whoever reads or tries them: their check only says
  that something is there to be graded.
"""

import ast
import importlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import nbformat

import fedlearn_helpers
import workbook_tools
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.exercise import Exercise
from workbook_tools.editions.graded.cells import read_unused
from workbook_tools.editions.graded.sealed import seal
from workbook_tools.execution.notebooks import GLOSSARY, of_the_workbook

_PACKAGE = Path(fedlearn_helpers.__file__).parent
_BESIDE = ("pyproject.toml", "requirements.txt", "LICENSE")
_HEADING = re.compile(r"\bExercise (\d+)\b")
_ABOUT_SOLUTIONS = re.compile(r"(hint\(\)` gives a hint)[^.]*\.")
_README = """# Federated Learning Workbook: edition for graded work

Install it and open the notebooks:

    python3 -m venv .venv
    .venv/bin/python -m pip install -r requirements.txt -e .
    .venv/bin/jupyter lab notebooks

Python 3.11 or newer is needed. On Windows it is `.venv\\Scripts\\` in place of `.venv/bin/`.

Write your answers into the exercises' cells, in place of `...`, and hand in the notebooks. You may add cells. What you
change in other cells does not count: answers are tested with the parameters that the notebooks came with, so explore
with others, and set them back before you answer. The checks of functions say what is wrong; other answers are tested
when they are graded. There are no solutions here.
"""


def write_edition(notebooks: Path, output: Path) -> int:
    """Write the edition into a new folder, completely or not at all; return how many exercises it has.

    Args:
        notebooks: the folder with the notebooks.
        output: a folder that does not exist yet.

    Raises:
        InputError: no notebooks, one with an answer in it, `output` exists, or the package is not used from the
            project's folder.
    """
    paths = of_the_workbook(notebooks)
    if os.path.lexists(output):
        raise InputError(f"output must be a new folder, got {str(output)!r}, which exists")
    beside = [_PACKAGE.parent / name for name in _BESIDE]
    if missing := [file.name for file in beside if not file.is_file()]:
        raise InputError(
            f"the package must be used from the project's folder, with {', '.join(missing)}, got {str(_PACKAGE)!r}"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".edition-", dir=output.parent) as temporary:
        edition = Path(temporary) / "edition"
        for package in (_PACKAGE, Path(workbook_tools.__file__).parent):
            shutil.copytree(package, edition / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        _remove_solutions(edition / _PACKAGE.name)
        (edition / "notebooks").mkdir()
        count = 0
        for path in (*paths, *notebooks.glob(GLOSSARY)):
            notebook = read_unused(path)
            if path in paths:
                count += _number_exercises(notebook, path.name[:2])
            nbformat.write(notebook, edition / "notebooks" / path.name)
        for file in beside:
            shutil.copy(file, edition / file.name)
        (edition / "README.md").write_text(_README)
        edition.rename(output)
    return count


def _number_exercises(notebook: nbformat.NotebookNode, number: str) -> int:
    """Write "Exercise 04.2" for "Exercise 2", and return how many exercises have such a heading."""
    count = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            count += len(re.findall(r"^#+ Exercise \d+\b", cell.source, re.MULTILINE))
            cell.source = _HEADING.sub(rf"Exercise {number}.\1", cell.source)
            cell.source = _ABOUT_SOLUTIONS.sub(r"\1. There are no solutions in this edition.", cell.source)
    return count


def exercise_modules() -> Iterator[ModuleType]:
    """Yield the modules of the package that hold exercises."""
    lessons = _PACKAGE / "lessons"
    for path in sorted([*lessons.glob("*/exercises.py"), *lessons.glob("*/exercises/[!_]*.py")]):
        name = ".".join(path.relative_to(_PACKAGE.parent).with_suffix("").parts)
        module = importlib.import_module(name)
        if any(isinstance(value, Exercise) for value in vars(module).values()):
            yield module


def _remove_solutions(package: Path) -> None:
    """Rewrite the modules of a copy of the package that hold solutions."""
    for module in exercise_modules():
        file = package / _file_of(module).relative_to(_PACKAGE)
        file.write_text(_without_solutions(module), encoding="utf-8")
        for exercise in vars(module).values():
            if isinstance(exercise, Exercise) and callable(solution := exercise.solution_code):
                home = importlib.import_module(solution.__module__)
                if home is not module:
                    _seal_definition(package / _file_of(home).relative_to(_PACKAGE), solution.__name__)


def _file_of(module: ModuleType) -> Path:
    assert module.__file__ is not None, "a module of the package is a file"
    return Path(module.__file__)


def _seal_definition(file: Path, name: str) -> None:
    source = file.read_text(encoding="utf-8")
    lines = source.splitlines(keepends=True)
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
            definition = "".join(lines[first : node.end_lineno])
            lines[first : node.end_lineno] = [
                f"# {name} is also the solution to an exercise.\n",
                *seal(definition),
            ]
            file.write_text("".join(lines), encoding="utf-8")
            return


def _without_solutions(module: ModuleType) -> str:
    """Return the source of a module of exercises without solutions, and without what only they need."""
    tree = ast.parse(_file_of(module).read_text(encoding="utf-8"))
    exercises = {name: value for name, value in vars(module).items() if isinstance(value, Exercise)}
    solutions = {exercise.solution_code for exercise in exercises.values() if callable(exercise.solution_code)}
    secret = {name for name, value in vars(module).items() if callable(value) and value in solutions}
    definitions = {name: node for node in tree.body for name in _defined_by(node)}
    needed = {"Exercise"}
    for name, exercise in exercises.items():
        assigned = definitions[name]
        assert isinstance(assigned, ast.Assign) and isinstance(assigned.value, ast.Call), f"{name} is made by a call"
        call = assigned.value
        call.keywords = [keyword for keyword in call.keywords if keyword.arg not in ("solution_code", "test", "hints")]
        with_test = ""
        if exercise.kind == "code" and exercise.test is not None:
            reached = _reached(exercise.test.__name__, definitions)
            if not reached & secret:
                with_test = exercise.test.__name__
                needed |= reached
        more = f"f(hints=({exercise.hints[0]!r},), solution_code=None, test={with_test or None})"
        added = ast.parse(more, mode="eval").body
        assert isinstance(added, ast.Call)
        call.keywords += added.keywords
    kept: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [alias for alias in node.names if (alias.asname or alias.name).partition(".")[0] in needed]
            if node.names:
                kept.append(node)
        elif _is_docstring(node) or _defined_by(node) & (needed | set(exercises)):
            kept.append(node)
    return ast.unparse(ast.fix_missing_locations(ast.Module(kept, type_ignores=[]))) + "\n"


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _defined_by(node: ast.stmt) -> set[str]:
    """Return the names that a statement of a module defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return {(alias.asname or alias.name).partition(".")[0] for alias in aliases}
    return set()


def _reached(name: str, definitions: dict[str, ast.stmt]) -> set[str]:
    """Return the names of a module that a definition of it uses, itself among them, directly or through others."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        if (current := waiting.pop()) in definitions and current not in found:
            found.add(current)
            waiting += [node.id for node in ast.walk(definitions[current]) if isinstance(node, ast.Name)]
    return found

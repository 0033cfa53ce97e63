"""The exercises of a notebook: which cells they are, and how their check is called."""

import ast
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from fedlearn_helpers.errors import InputError
from workbook_tools.execution.reading import read_notebook


@dataclass(frozen=True)
class ExerciseCells:
    """One exercise of a notebook.

    Attributes:
        name: of the exercise in its module.
        number: its place in the notebook, from 1.
        stub: id of the cell that the answer is written into.
        check: id of the cell that checks it.
        answer: the code of the check's first argument.
        given: the code of its other arguments, what the notebook hands over, such as "table=table"; may be empty.
    """

    name: str
    number: int
    stub: str
    check: str
    answer: str
    given: str


def has_tag(cell: NotebookNode, tag: str) -> bool:
    """Return whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: of very deep nesting
        return None


def checked_exercise(source: str) -> tuple[str, str, str] | None:
    """Return the parts of a call `exercises.NAME.check(ANSWER, GIVEN)` in a cell, or None if it has no such call.

    Code that is no Python has none.
    """
    tree = _parsed(source)
    for node in [] if tree is None else ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="check", value=ast.Attribute(attr=name, value=ast.Name(id="exercises"))),
                args=[answer],
            ):
                return name, ast.unparse(answer), ", ".join(map(ast.unparse, node.keywords))
    return None


def read_unused(path: Path) -> NotebookNode:
    """Read a notebook of the workbook as it is handed out: without outputs.

    Raises:
        InputError: somebody has tried an exercise, and a cell for an answer has no `...` in it.
    """
    notebook = read_notebook(path)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if has_tag(cell, "exercise") and not _is_open(cell.source):
            raise InputError(f"{path.name} must have no answers, got one in the cell {cell['id']!r}; take a fresh copy")
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def _is_open(stub: str) -> bool:
    tree = _parsed(stub)
    nodes = [] if tree is None else ast.walk(tree)
    return any(isinstance(node, ast.Constant) and node.value is Ellipsis for node in nodes)


def binds(source: str, name: str) -> bool:
    """Return whether code at the top of a cell gives a name a value."""
    tree = _parsed(source)
    return tree is not None and any(name in _bound_by(statement) for statement in tree.body)


def _bound_by(node: ast.AST) -> set[str]:
    """Return the names that code binds in the scope that it stands in."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return set()
    own = {node.id} if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else set()
    own |= {node.asname or node.name} if isinstance(node, ast.alias) else set()
    return own.union(*map(_bound_by, ast.iter_child_nodes(node)))


def find_exercises(notebook: NotebookNode) -> list[ExerciseCells]:
    """Return the exercises of one of the workbook's notebooks, in their order."""
    found: list[ExerciseCells] = []
    stub = None
    for cell in notebook.cells:
        if has_tag(cell, "exercise"):
            stub = cell["id"]
        elif has_tag(cell, "check") and stub and (call := checked_exercise(cell.source)):
            found.append(ExerciseCells(call[0], len(found) + 1, stub, cell["id"], *call[1:]))
    return found

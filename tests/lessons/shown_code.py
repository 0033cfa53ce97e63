"""Compares what a notebook defines in a cell with what the package has."""

import ast
import inspect
from types import ModuleType


def same_code(shown: str, module: ModuleType, name: str) -> bool:
    """Say whether a notebook and a module define `name` with the same code, but for what a notebook leaves out."""
    shown, packaged = (definition(source, name) for source in (shown, inspect.getsource(module)))
    return plain_code(shown) == plain_code(packaged)


def definition(source: str, name: str) -> ast.AST:
    """Return the definition of `name` in `source`, at any depth."""
    return next(
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
    )


def plain_code(node: ast.AST) -> str:
    """Return the code of a definition without docstrings, annotations and checks of arguments."""
    return ast.unparse(ast.fix_missing_locations(Plain().visit(node)))


# The package trains on other tasks, too; for images these are.
IMAGES = {"task.loss": "F.cross_entropy", "task.inputs": "normalize"}


class Plain(ast.NodeTransformer):
    """Removes what the notebook leaves out and the package has: docstrings, types, checks of arguments, the task."""

    def visit_FunctionDef(self, node):
        node.returns, node.decorator_list = None, []
        named = [
            pair for pair in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if pair[0].arg != "task"
        ]
        node.args.kwonlyargs, node.args.kw_defaults = map(list, zip(*named, strict=True)) if named else ([], [])
        for argument in [*node.args.args, *node.args.kwonlyargs]:
            argument.annotation = None
        return self.visit_ClassDef(node)

    def visit_ClassDef(self, node):
        node.body = [statement for statement in node.body if not self.is_furniture(statement)]
        return self.generic_visit(node)

    def visit_Name(self, node):
        node.id = "data" if node.id == "dataset" else node.id
        return node

    def visit_Attribute(self, node):
        shown = IMAGES.get(ast.unparse(node))
        return ast.parse(shown, mode="eval").body if shown else self.generic_visit(node)

    def visit_keyword(self, node):
        return None if node.arg == "strict" else self.generic_visit(node)

    def is_furniture(self, statement):
        docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        raises = any(isinstance(node, ast.Raise) for node in ast.walk(statement))
        return docstring or (raises and isinstance(statement, ast.If | ast.For))

"""Which files of the package a notebook needs, found in its source code: nothing is imported or run."""

import ast
from collections.abc import Iterator
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

import fedlearn_helpers

PACKAGE = "fedlearn_helpers"
FOLDER = Path(fedlearn_helpers.__file__).parent


def files_behind(cells: list[str]) -> list[Path]:
    """Return the package's files that code cells need, sorted: modules, and the text files that these read.

    Imports inside functions and relative imports count. A text file counts when it lies beside a module, or below
    its folder, and the module has its name as a string.
    """
    waiting = [name for cell in cells for name in _imported(TransformerManager().transform_cell(cell), package="")]
    found: set[Path] = set()
    while waiting:
        for path in _files_of(waiting.pop()):
            if path not in found:
                found.add(path)
                package = path.parent.relative_to(FOLDER.parent)
                waiting += _imported(path.read_text(encoding="utf-8"), ".".join(package.parts))
    return sorted(found | {file for module in found for file in _text_files_of(module)})


def _imported(source: str, package: str) -> Iterator[str]:
    """Yield the names that a source file imports: of modules, and of what may be a module in a package."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _files_of(name: str) -> list[Path]:
    """Return the files that importing `name` runs: its own and those of the packages around it."""
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return []
    files = []
    for length in range(1, len(parts) + 1):
        path = FOLDER.parent.joinpath(*parts[:length])
        files += [file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()]
    return files


def _text_files_of(module: Path) -> Iterator[Path]:
    strings = {
        node.value
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    for path in module.parent.rglob("*.*"):
        if path.name in strings and path.suffix != ".py" and path.is_file() and _is_text(path):
            yield path


def _is_text(path: Path) -> bool:
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True

"""Which files of the package a notebook needs, found in its source code: nothing is imported or run.

Packages collect names of their modules in `__init__.py`. A notebook needs the modules of the names that it uses, and no
others: an edition has such a file with these names alone.
"""

import ast
import base64
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

import fedlearn_helpers

PACKAGE = "fedlearn_helpers"
FOLDER = Path(fedlearn_helpers.__file__).parent


def files_behind(cells: list[str]) -> dict[Path, str]:
    """Return the package's files that code cells need, sorted, with their texts: modules, and text files they read.

    Imports inside functions and relative imports count. A text file counts when it lies beside a module, or below
    its folder, and the module has its name as a string.
    """
    needed = _Needed()
    needed.add_imports_of("\n".join(TransformerManager().transform_cell(cell) for cell in cells), package="")
    texts = {path: needed.text_of(path) for path in needed.files}
    for module in needed.files:
        texts |= {file: _as_text(file) for file in _files_of(module)}
    return dict(sorted(texts.items()))


@dataclass
class _Needed:
    """What is needed so far.

    Attributes:
        files: modules, by path.
        names: of each file that only collects names, those that are needed.
    """

    files: set[Path] = field(default_factory=set)
    names: dict[Path, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add_imports_of(self, source: str, package: str) -> None:
        """Add what a source file imports of the package.

        Args:
            source: Python code.
            package: the one that the file is in.
        """
        tree = ast.parse(source)
        attributes = _attributes(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._add_module(alias.name, None)
            elif isinstance(node, ast.ImportFrom):
                base = _absolute(node, package)
                for alias in node.names:
                    self._add_name(base, alias.name, attributes.get(alias.asname or alias.name))

    def _add_name(self, base: str, name: str, used: set[str] | None) -> None:
        """Add what `from base import name` needs; if the name is a package, of it only the names that are used.

        A name that the package collects comes before a module that is called the same.
        """
        path = _path_of(base)
        if name == "*":
            self._add_module(base, None)
        elif path is not None and name in (_collected(path) or {}):
            self._add_module(base, {name})
        elif _path_of(f"{base}.{name}") is not None:
            self._add_module(f"{base}.{name}", used)
        else:
            self._add_module(base, {name})

    def _add_module(self, module: str, names: set[str] | None) -> None:
        """Add a module and the packages around it; of a file that only collects names, these names, or all (None)."""
        path = _path_of(module)
        if path is None:
            return
        parent = module.rpartition(".")[0]
        if parent:
            self._add_module(parent, set())
        collected = _collected(path)
        if collected is None:
            if path not in self.files:
                self.files.add(path)
                self.add_imports_of(path.read_text(encoding="utf-8"), _package_of(path))
            return
        self.files.add(path)
        wanted = set(collected) if names is None else names & set(collected)
        for name in wanted - self.names[path]:
            self.names[path].add(name)
            if collected[name] == (module, name):  # a module of this very package
                self._add_module(f"{module}.{name}", None)
            else:
                self._add_name(*collected[name], None)

    def text_of(self, path: Path) -> str:
        """Return a file's text; of one that only collects names, with those that are needed."""
        text = path.read_text(encoding="utf-8")
        collected = _collected(path)
        if not collected:
            return text
        docstring = ast.get_docstring(ast.parse(text), clean=False)
        lines = [f'"""{docstring}"""\n'] if docstring else []
        names = [name for name in collected if name in self.names[path]]
        by_module: dict[str, list[str]] = defaultdict(list)
        for name in names:
            module, original = collected[name]
            by_module[module].append(original if name == original else f"{original} as {name}")
        lines += [f"from {module} import {', '.join(imported)}" for module, imported in by_module.items()]
        return "\n".join([*lines, f"\n__all__ = {names!r}"]) + "\n"


def _collected(path: Path) -> dict[str, tuple[str, str]] | None:
    """Return where the names come from that an `__init__.py` collects, or None if the file does anything else."""
    if path.name != "__init__.py":
        return None
    collected: dict[str, tuple[str, str]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Assign(targets=[ast.Name(id="__all__")]):
                pass
            case ast.ImportFrom() if (base := _absolute(node, _package_of(path))).partition(".")[0] == PACKAGE:
                collected |= {alias.asname or alias.name: (base, alias.name) for alias in node.names}
            case _:
                return None
    return collected


def _attributes(tree: ast.Module) -> dict[str, set[str]]:
    """Return by name the attributes that code uses of it, of the names that it uses in no other way."""
    times: Counter[str] = Counter()
    attributes: dict[str, list[str]] = defaultdict(list)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            times[node.id] += 1
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            attributes[node.value.id].append(node.attr)
    return {name: set(used) for name, used in attributes.items() if len(used) == times[name]}


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """Return the module that an import statement names, in full."""
    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


def _path_of(module: str) -> Path | None:
    """Return the file of a module of the package, or None."""
    parts = module.split(".")
    if parts[0] != PACKAGE:
        return None
    path = FOLDER.parent.joinpath(*parts)
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def _package_of(path: Path) -> str:
    return ".".join(path.parent.relative_to(FOLDER.parent).parts)


def _files_of(module: Path) -> Iterator[Path]:
    strings = {
        node.value
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    for path in module.parent.rglob("*.*"):
        if path.name in strings and path.suffix != ".py" and path.is_file() and path.stat().st_size <= MOST_BYTES:
            yield path


MOST_BYTES = 1_000_000
"""Of a file beside a module that an edition brings; larger ones, such as images, are downloaded."""


def _as_text(path: Path) -> str:
    """Return a file's text, or its bytes in base 64."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return base64.encodebytes(path.read_bytes()).decode("ascii")

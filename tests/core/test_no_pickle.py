"""Nothing that is kept in a file, or comes from somebody else, is unpickled: that would run their code."""

import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("fedlearn_helpers", "workbook_tools", "flower_app", "docs", "benchmarks")
PIPES = {"fedlearn_helpers/simulation/packing.py"}  # between this process and its own forks, and in memory
UNPICKLERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
READERS = {"read_pickle"}  # pandas


def problems_of(source):
    """Return what in a source may unpickle, as words with line numbers."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name.partition(".")[0] for alias in node.names]
            found += [f"{node.lineno}: import {name}" for name in names if name in UNPICKLERS]
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").partition(".")[0] in UNPICKLERS:
                found.append(f"{node.lineno}: from {node.module}")
            if node.module in ("torch", "numpy") and any(alias.name == "load" for alias in node.names):
                found.append(f"{node.lineno}: load without its module's name")
        elif isinstance(node, ast.Attribute) and node.attr in READERS:
            found.append(f"{node.lineno}: {node.attr}")
        elif isinstance(node, ast.Call):
            options = {option.arg: getattr(option.value, "value", "?") for option in node.keywords}
            called = ast.unparse(node.func)
            if called == "torch.load" and options.get("weights_only") is not True:
                found.append(f"{node.lineno}: torch.load without weights_only=True")
            if options.get("allow_pickle", False) is not False:
                found.append(f"{node.lineno}: {called} with allow_pickle")
    return found


def sources():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        lines = [line for cell in cells if cell["cell_type"] == "code" for line in [*cell["source"], "\n"]]
        plain = "".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
        yield path.relative_to(ROOT).as_posix(), plain


def test_only_pipes_between_own_processes_unpickle():
    found = {name: problems for name, source in sources() if (problems := problems_of(source))}
    assert set(found) == PIPES, found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import cloudpickle as p",
        "from pickle import loads",
        "def f():\n    import shelve",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=anything)",
        "np.load(path, allow_pickle=True)",
        "numpy.load(path, allow_pickle=flag)",
        "from torch import load",
        "pd.read_pickle(path)",
    ],
)
def test_what_unpickles_is_found(source):
    assert len(problems_of(source)) == 1


def test_what_does_not_is_not():
    assert problems_of("torch.load(path, weights_only=True); np.load(path); np.load(path, allow_pickle=False)") == []

"""Imports only point down: every module imports from its own unit, or from layers below it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "fedlearn_helpers"
# From the bottom up. A unit is a module or a folder of the package; units of one layer know nothing of each other.
LAYERS = (
    ("", "errors"),
    ("device", "files", "interrupts", "seeds", "metrics", "pooling", "progress", "plots"),
    ("tasks", "models"),
    ("captured",),
    ("training",),
    ("data", "partition", "simulation"),
    ("algorithms", "tables"),  # tables become a `Dataset` with a `Shard` for each site
    (
        "experiments",
        "availability",
        "communication",
        "deployment",
        "language",
        "on_device",
        "privacy",
        "robustness",
        "scenarios",
    ),
    ("statistics",),  # its sums can be secure ones
    ("trees", "vertical"),
    ("decision",),
    ("project",),  # a plan holds the ten answers
    ("lessons.common",),
    ("lessons",),  # a lesson is a unit of its own: "lessons.personalization"
)
RANK = {unit: rank for rank, layer in enumerate(LAYERS) for unit in layer}


def unit_of(module: str) -> str:
    """Return the unit of a module, such as "data" for `fedlearn_helpers.data.cache`."""
    parts = module.split(".")[1:]
    return ".".join(parts[:2] if parts[:1] == ["lessons"] else parts[:1])


def rank_of(unit: str) -> int:
    return RANK[unit] if unit in RANK else RANK[unit.partition(".")[0]]


def imports_of(source: str) -> set[str]:
    """Return the modules that a source imports, also inside functions; of `from a import b` both a and a.b."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "an import names its module in full"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def upward(root: Path) -> list[str]:
    """Return a line for every import in a package below `root` that does not point down."""
    paths = sorted((root / PACKAGE).rglob("*.py"))
    modules = {name_of(path, root) for path in paths}
    wrong = []
    for path in paths:
        module = name_of(path, root)
        own = unit_of(module)
        for target in imports_of(path.read_text(encoding="utf-8")):
            if target.partition(".")[0] == "workbook_tools":
                wrong.append(f"{module} imports {target}")
            if target in modules and (unit := unit_of(target)) != own and rank_of(unit) >= rank_of(own):
                wrong.append(f"{module} imports {target}")
    return wrong


def test_imports_point_down():
    assert upward(ROOT) == []


def test_every_unit_has_a_layer():
    units = {unit_of(name_of(path, ROOT)) for path in (ROOT / PACKAGE).rglob("*.py")}
    assert [unit for unit in units if unit not in RANK and not unit.startswith("lessons.")] == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("training", "from fedlearn_helpers.data import load_dataset"),
        ("training", "def f():\n    import fedlearn_helpers.simulation.grid"),
        ("data/cache", "from fedlearn_helpers import simulation"),
        ("algorithms/fedavg", "from fedlearn_helpers.experiments import compare"),
        ("availability/mods", "from fedlearn_helpers.experiments import compare"),
        ("lessons/personalization/figures", "from fedlearn_helpers.lessons.strategies import figures"),
        ("lessons/common/widgets", "from fedlearn_helpers.lessons.strategies import figures"),
        ("files", "import workbook_tools.cli"),
    ],
)
def test_an_import_that_points_up_is_found(tmp_path, module, line):
    package = tmp_path / PACKAGE
    for name in (
        "__init__",
        "data/__init__",
        "simulation/__init__",
        "simulation/grid",
        "experiments/__init__",
        "experiments/compare",
        "lessons/strategies/__init__",
        "lessons/strategies/figures",
    ):
        (package / name).with_suffix(".py").parent.mkdir(parents=True, exist_ok=True)
        (package / name).with_suffix(".py").write_text("")
    assert upward(tmp_path) == []
    path = (package / module).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n")
    assert upward(tmp_path) != []

"""What holds for every notebook in the repository, without running it."""

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import papermill
import pytest
from exercise_cells import exercise_of

from fedlearn_helpers import metrics, models, training
from fedlearn_helpers.lessons.common import contents, parameters
from fedlearn_helpers.simulation import client

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9]*.ipynb"))
GLOSSARY = FOLDER / "glossary.ipynb"
CHECKED_BY = {
    "00_start_here": parameters.StartParameters,
    "01_centralized_cnn": parameters.CentralizedParameters,
    "02_federated_averaging": parameters.FederatedParameters,
    "03_clients_that_come_and_go": parameters.ClientsParameters,
    "04_non_iid_data": parameters.NonIidParameters,
    "05_strategies": parameters.StrategiesParameters,
    "06_personalization": parameters.PersonalizationParameters,
}
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_of(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


def text_of(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@every_notebook
def test_has_no_outputs_and_stable_cell_ids(path):
    check = [sys.executable, "-m", "nbstripout", "--keep-id", "--verify", str(path)]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    ids = [cell["id"] for cell in nbformat.read(path, as_version=4).cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in ids)


@every_notebook
def test_parameters_are_typed_explained_and_checked(path):
    declared = papermill.inspect_notebook(str(path))
    assert set(declared) == set(CHECKED_BY[path.stem].model_fields)
    for name, facts in declared.items():
        assert facts["inferred_type_name"] != "None", f"{name} has no type"
        assert len(facts["help"]) > 10, f"{name} has no comment that says what it means"


@every_notebook
def test_default_parameters_are_valid(path):
    declared = papermill.inspect_notebook(str(path))
    values = {name: ast.literal_eval(facts["default"]) for name, facts in declared.items()}
    assert parameters.check_parameters(CHECKED_BY[path.stem], values) == values


@every_notebook
def test_every_figure_has_alt_text(path):
    calls = [
        node
        for node in ast.walk(ast.parse(code_of(path)))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "plots.show"
    ]
    assert calls
    for call in calls:
        alt = next(keyword.value for keyword in call.keywords if keyword.arg == "alt")
        described = isinstance(alt, ast.Call) and ast.unparse(alt.func).endswith(".describe")
        assert described or len(ast.unparse(alt)) > 40


@pytest.mark.parametrize("path", [*NOTEBOOKS, GLOSSARY], ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    targets = re.findall(r"\]\(([^)#:]+\.ipynb)(?:#([^)]+))?\)", text_of(path))
    assert targets
    for target, anchor in targets:
        assert (FOLDER / target).exists(), target
        headings = [
            line.lstrip("# ").replace(" ", "-") for line in text_of(FOLDER / target).splitlines() if line[:1] == "#"
        ]
        assert not anchor or headings.count(anchor) == 1, f"{target}#{anchor}"


def test_the_glossary_defines_every_term_once_and_names_the_notebook_that_introduces_it():
    introduced = {}
    for path in NOTEBOOKS:
        (line,) = re.findall(r"^\*\*Terms\*\*: (.*)\.$", text_of(path), re.MULTILINE)
        for term, anchor in re.findall(r"\[([^]]+)\]\(glossary\.ipynb#([^)]+)\)", line):
            assert term not in introduced, f"{term} is introduced twice"
            assert anchor == term.replace(" ", "-")
            introduced[term] = path.name
        assert not re.sub(r"\[[^]]+\]\([^)]+\)", "", line).strip(", "), "a term without a link"
    defined = {}
    for cell in nbformat.read(GLOSSARY, as_version=4).cells[1:]:
        heading, _, definition = cell.source.partition("\n\n")
        assert len(definition) > 40
        defined[heading.removeprefix("### ")] = re.findall(r"\]\(([^)]+)\)", definition)[-1]
    assert defined == introduced
    assert list(defined) == sorted(defined, key=str.lower)


@every_notebook
def test_exercises_are_announced_as_what_they_are_and_followed_by_their_check(path):
    """Three kinds in every notebook; kind, difficulty and minutes in the text are those of the exercise."""
    cells = nbformat.read(path, as_version=4).cells
    kinds = set()
    for position, cell in enumerate(cells):
        if "check" not in cell.metadata.get("tags", []):
            continue
        exercise = exercise_of(path.stem, cell)
        stub = cells[position - 1]
        assert "exercise" in stub.metadata["tags"] and "..." in stub.source
        text = next(earlier for earlier in reversed(cells[:position]) if earlier.cell_type == "markdown").source
        words = {"predict": "Predict", "code": "Write code", "explore": "Explore"}[exercise.kind]
        assert f"*{words} · {exercise.difficulty} · {exercise.minutes} minutes.*" in text
        kinds.add(exercise.kind)
    assert kinds == {"predict", "code", "explore"}


@every_notebook
def test_stated_minutes_are_the_measured_ones(path):
    entry = next(entry for entry in contents.entries() if entry.name == path.stem)
    stated = re.search(r"the cells run in about (\d+) minutes? on 2 cores", text_of(path))
    assert stated and int(stated[1]) == entry.minutes


def test_contents_list_every_notebook_in_order():
    assert [entry.name for entry in contents.entries()] == [path.stem for path in NOTEBOOKS]


def definition(source: str, name: str) -> ast.AST:
    """Return the definition of `name` in `source`, at any depth."""
    return next(
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
    )


def plain_code(node: ast.AST, *, renamed: dict[str, str]) -> str:
    """Return the code of a definition without docstrings, annotations and checks of arguments."""
    kept = ast.fix_missing_locations(Plain(renamed).visit(node))
    return ast.unparse(kept)


class Plain(ast.NodeTransformer):
    """Removes what the notebook leaves out and the package has: docstrings, types, checks of arguments."""

    def __init__(self, renamed):
        self.renamed = renamed

    def visit_FunctionDef(self, node):
        node.returns, node.decorator_list = None, []
        for argument in [*node.args.args, *node.args.kwonlyargs]:
            argument.annotation = None
        return self.visit_ClassDef(node)

    def visit_ClassDef(self, node):
        node.body = [statement for statement in node.body if not self.is_furniture(statement)]
        return self.generic_visit(node)

    def visit_Name(self, node):
        node.id = self.renamed.get(node.id, node.id)
        return node

    def visit_keyword(self, node):
        return None if node.arg == "strict" else self.generic_visit(node)

    def is_furniture(self, statement):
        docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        raises = any(isinstance(node, ast.Raise) for node in ast.walk(statement))
        return docstring or (raises and isinstance(statement, ast.If | ast.For))


@pytest.mark.parametrize(
    ("notebook", "name", "module"),
    [
        ("01_centralized_cnn", "TutorialCNN", models),
        ("01_centralized_cnn", "train", training),
        ("02_federated_averaging", "average_models", models),
        ("02_federated_averaging", "weighted_average", metrics),
        ("02_federated_averaging", "train_client", client),
        ("02_federated_averaging", "evaluate_client", client),
    ],
)
def test_what_a_notebook_shows_is_what_the_package_runs(notebook, name, module):
    shown = definition(code_of(FOLDER / f"{notebook}.ipynb"), name)
    packaged = definition(textwrap.dedent(inspect.getsource(module)), name)
    plain = [plain_code(node, renamed={"dataset": "data"}) for node in (shown, packaged)]
    assert plain[0] == plain[1]

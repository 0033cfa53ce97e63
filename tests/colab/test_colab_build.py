"""What editions consist of; nothing is executed but their setup cell's functions."""

import ast
import base64
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from typer.testing import CliRunner

from fedlearn_helpers.lessons.common import contents
from workbook_tools.cli import app
from workbook_tools.editions.colab import build_edition, modules, requirements, setup_cell, write_edition

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9w][0-9]_*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@functools.cache
def edition_of(path):
    return build_edition(path)


def cells_of(edition, kind):
    return [cell for cell in edition.cells if cell.cell_type == kind]


def own_cells(edition):
    """Return the code cells that the notebook does not have."""
    return [cell for cell in cells_of(edition, "code") if cell.id.startswith("colab-")]


def written_files(edition):
    """Return what the edition's cells write, by name, from their source."""
    files = {}
    for cell in own_cells(edition)[1:]:
        first, rest = cell.source.split("\n", 1)
        if name := re.fullmatch(r"%%writefile (\S+)", first):
            files[name[1]] = rest + "\n"
        else:
            call = ast.parse(cell.source).body[-1].value
            written = call.args[0]
            is_text = call.func.attr == "write_text"
            files[call.func.value.args[0].value] = (
                ast.literal_eval(written) if is_text else base64.b64decode(ast.literal_eval(written.args[0]))
            )
    return files


@every_notebook
def test_an_edition_is_small_has_no_outputs_and_the_same_parameters_for_papermill(path, tmp_path):
    edition = write_edition(path, tmp_path)
    assert edition.stat().st_size < 4_000_000
    assert all(not cell.outputs for cell in cells_of(nbformat.read(edition, as_version=4), "code"))
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert papermill.inspect_notebook(str(edition)) == papermill.inspect_notebook(str(path))


def test_failure_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "chmod", fail)
    with pytest.raises(KeyboardInterrupt):
        write_edition(NOTEBOOKS[0], tmp_path)
    assert list(tmp_path.iterdir()) == []


@every_notebook
def test_the_notebooks_cells_are_all_there_in_order_with_their_ids(path):
    edition, notebook = edition_of(path), nbformat.read(path, as_version=4)
    assert [cell.id for cell in edition.cells if not cell.id.startswith("colab-")] == [
        cell.id for cell in notebook.cells
    ]
    code = {cell.id: (cell.source, cell.metadata) for cell in cells_of(edition, "code")}
    for cell in cells_of(notebook, "code"):
        source, metadata = code[cell.id]
        if "hide-input" in cell.metadata.get("tags", []):
            title, _, source = source.partition("\n")
            assert title.startswith("# @title ") and metadata["cellView"] == "form"
            metadata = {name: value for name, value in metadata.items() if name != "cellView"}
        assert (source, metadata) == (cell.source, cell.metadata)


def test_code_that_need_not_be_read_is_a_form_with_a_title(tmp_path):
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    place = next(place for place, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    sources = {"# Imports, and a check.\nimport math": ["hide-input"], "1 + 1": ["hide-input", "answer"], "2 + 2": []}
    for source, tags in sources.items():
        notebook.cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags}))
    opening = "The question of this notebook, for [section 1](#1.-A-section)."
    notebook.cells.insert(place, nbformat.v4.new_markdown_cell(opening))
    nbformat.write(notebook, tmp_path / NOTEBOOKS[0].name)
    shutil.copy(NOTEBOOKS[0].with_name("glossary.ipynb"), tmp_path)
    edition = build_edition(tmp_path / NOTEBOOKS[0].name)
    last = [cell for cell in edition.cells if cell.cell_type == "code"][-3:]
    assert [(cell.source, cell.metadata.get("cellView")) for cell in last] == [
        ("# @title Imports, and a check\n# Imports, and a check.\nimport math", "form"),
        ("# @title Answer\n1 + 1", "form"),
        ("2 + 2", None),
    ]
    texts = [cell.source for cell in edition.cells[: edition.cells.index(last[0])]]
    assert texts.index("The question of this notebook, for section 1.") == place, "before what Colab needs"


@every_notebook
def test_files_are_those_of_the_package_below_a_title(path):
    for name, text in written_files(edition_of(path)).items():
        title = f"# @title {name}\n" if name.endswith(".py") else ""
        if isinstance(text, bytes):
            assert text == (ROOT / name).read_bytes(), name
            continue
        source = (ROOT / name).read_text()
        if "__all__ = " in source and name.endswith("/__init__.py"):
            assert text.startswith(title)
            (documented, collected), (as_in_package, all_names) = map(what_is_collected, (text, source))
            assert documented == as_in_package and collected <= all_names, name
        else:
            assert text == title + source.rstrip() + "\n", name


def what_is_collected(source):
    """Return the docstring of an `__init__.py`, and its names with their modules."""
    tree = ast.parse(source)
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return ast.get_docstring(tree), {(node.module, alias.name) for node in imports for alias in node.names}


@every_notebook
def test_setup_and_files_come_before_the_parameters_and_are_hidden(path):
    edition = edition_of(path)
    own = own_cells(edition)
    assert own[0].id == "colab-setup" and own[0].source.startswith("# @title Setup: run this cell first\n")
    parameters = next(n for n, cell in enumerate(edition.cells) if "parameters" in cell.metadata.get("tags", []))
    assert max(edition.cells.index(cell) for cell in own) < parameters
    for cell in own:
        assert cell.metadata["cellView"] == "form" and cell.metadata["jupyter"]["source_hidden"]
        assert "# @title " in "\n".join(cell.source.splitlines()[:2])
    (collapsed,) = edition.metadata["colab"]["collapsed_sections"]
    heading = next(cell for cell in edition.cells if cell.metadata.get("id") == collapsed)
    following = edition.cells[edition.cells.index(heading) + 1 :]
    end = next(n for n, cell in enumerate(following) if cell.cell_type == "markdown")
    assert following[end].source.startswith("## ")
    assert following[:end] == own[1:], "only the files are in the collapsed section"


@every_notebook
def test_no_link_leads_to_a_file_that_is_not_there(path):
    for cell in cells_of(edition_of(path), "markdown"):
        text = re.sub(r"`[^`]*`", "", cell.source)
        assert ".ipynb" not in text and "](#" not in text and "](../" not in text, cell.source


@every_notebook
def test_terms_are_defined_at_the_end(path):
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    terms = re.findall(r"\[([^]]+)\]\(glossary\.ipynb#", text)
    assert len(terms) > 2 or path.name[0] == "w", "wrap-ups introduce no terms"
    last = edition_of(path).cells[-1].source
    for term in terms:
        assert re.search(rf"^### {re.escape(term)}\n\n\w.{{40}}", last, re.MULTILINE), term
    assert last.count("\n### ") == len(set(terms))


def test_two_builds_give_the_same_bytes(tmp_path):
    """In two processes, since the order in sets of texts differs from process to process."""
    some = [NOTEBOOKS[0].with_name("glossary.ipynb"), *NOTEBOOKS[:1], *NOTEBOOKS[-2:]]
    (tmp_path / "notebooks").mkdir()
    for path in some:
        shutil.copy(path, tmp_path / "notebooks")
    for name, seed in (("a", "1"), ("b", "2")):
        command = [sys.executable, "-c", "from workbook_tools.cli import app; app()", "colab"]
        folders = ["--folder", str(tmp_path / "notebooks"), "--output", str(tmp_path / name)]
        subprocess.run([*command, *folders], check=True, env=os.environ | {"PYTHONHASHSEED": seed}, cwd=ROOT)
    first, second = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in "ab")
    assert first == second
    assert set(first) == {path.name for path in some[1:]}


def test_the_map_of_the_workbook_has_links_only_where_they_lead_somewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alone = contents.as_markdown(current="00_start_here")
    assert "| 02 Federated averaging |" in alone and ".ipynb" not in alone
    (tmp_path / "02_federated_averaging.ipynb").touch()
    assert "| [02 Federated averaging](02_federated_averaging.ipynb) |" in contents.as_markdown("00_start_here")


# The command ---------------------------------------------------------------------------------


def test_the_command_writes_the_chosen_ones(tmp_path):
    arguments = ["colab", "0", "02", "--folder", str(ROOT / "notebooks"), "--output", str(tmp_path / "new")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    names = ["00_start_here.ipynb", "02_federated_averaging.ipynb"]
    assert sorted(entry.name for entry in (tmp_path / "new").iterdir()) == names
    assert re.fullmatch(r"(\S+/0[02]_\w+\.ipynb: \d+ kB\n){2}", result.output)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["99"], "InputError: notebooks must be among 00, 01, "),
        (["--folder", "nowhere"], "InputError: folder must hold the notebooks, got 'nowhere' with none"),
    ],
)
def test_mistakes_end_with_one_sentence_and_nothing_is_written(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    result = CliRunner().invoke(app, ["colab", *arguments])
    assert result.exit_code == 1
    assert result.output.startswith(sentence) and len(result.output.splitlines()) == 1
    assert not (tmp_path / "build").exists()


# Which files ---------------------------------------------------------------------------------


PACKAGE = {
    "__init__.py": '"""Nothing."""',
    "alone.py": "import os",
    "top.py": "from kit.inner import deep\n\n\ndef later():\n    from kit import lazy\n    return lazy, deep\n",
    "lazy.py": "from kit.inner.table import rows",
    "inner/__init__.py": "from .start import begin",
    "inner/start.py": "from ..other import VALUE as begin",
    "inner/deep.py": "from . import start",
    "inner/table.py": "from pathlib import Path\n\nrows = Path(__file__).with_name('rows.csv'), 'picture.bin'\n",
    "inner/rows.csv": "a,b\n",
    "inner/unused.csv": "c\n",
    "other.py": "VALUE = 1",
}


@pytest.fixture
def kit(tmp_path, monkeypatch):
    for name, text in PACKAGE.items():
        path = tmp_path / "kit" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "kit" / "inner" / "picture.bin").write_bytes(b"\xff\xfe\x00\xff")
    monkeypatch.setattr(modules, "PACKAGE", "kit")
    monkeypatch.setattr(modules, "FOLDER", tmp_path / "kit")
    return lambda *cells: {path.relative_to(tmp_path / "kit").as_posix() for path in modules.files_behind([*cells])}


EVERYTHING = {*PACKAGE, "inner/picture.bin"} - {"alone.py", "inner/unused.csv"}


@pytest.mark.parametrize(
    ("cell", "files"),
    [
        ("import numpy as np", set()),
        ("import kit", {"__init__.py"}),
        ("from kit import alone", {"__init__.py", "alone.py"}),
        ("import kit.alone as other_name", {"__init__.py", "alone.py"}),
        ("def f():\n    from kit.alone import os", {"__init__.py", "alone.py"}),
        ("from kit.inner import begin", {"__init__.py", "inner/__init__.py", "inner/start.py", "other.py"}),
        ("%matplotlib inline\n!ls\nfrom kit import top", EVERYTHING),
    ],
)
def test_imports_are_followed(kit, cell, files):
    assert kit(cell) == files
    assert kit("x = 1", cell) == files


COLLECTING = {
    "__init__.py": "",
    "box/__init__.py": """'''A box.'''

from kit.box import pen
from kit.box.ink import RED as red
from kit.box.cut import cut

__all__ = ["cut", "pen", "red"]
""",
    "box/pen.py": "from kit.box.ink import RED",
    "box/ink.py": "RED = 1",
    "box/cut.py": "from kit.steel import hard\n\n\ndef cut():\n    return hard\n",
    "steel.py": "hard = True",
}


IN_THE_BOX = set(COLLECTING) - {"__init__.py", "box/__init__.py"}


@pytest.mark.parametrize(
    ("cell", "files", "names"),
    [
        ("from kit.box import red", {"box/ink.py"}, ["red"]),
        ("from kit.box import pen", {"box/pen.py", "box/ink.py"}, ["pen"]),
        ("from kit.box import cut\nassert cut()", {"box/cut.py", "steel.py"}, ["cut"]),
        ("from kit.box import *\nassert cut() and pen", IN_THE_BOX, ["pen", "red", "cut"]),
        ("from kit import box\nbox.red + box.red", {"box/ink.py"}, ["red"]),
        (
            "from kit import box\nprint(box)",
            IN_THE_BOX,
            ["pen", "red", "cut"],
        ),
        ("import kit.box", IN_THE_BOX, ["pen", "red", "cut"]),
        ("import kit.box.cut", {"box/cut.py", "steel.py"}, []),
    ],
)
def test_of_names_that_a_package_collects_only_those_that_are_used_come(tmp_path, monkeypatch, cell, files, names):
    for name, text in COLLECTING.items():
        path = tmp_path / "kit" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(modules, "PACKAGE", "kit")
    monkeypatch.setattr(modules, "FOLDER", tmp_path / "kit")
    found = {path.relative_to(tmp_path / "kit").as_posix(): text for path, text in modules.files_behind([cell]).items()}
    assert set(found) == files | {"__init__.py", "box/__init__.py"}
    assert found["box/__init__.py"].startswith('"""A box."""\n')
    assert found["box/__init__.py"].endswith(f"__all__ = {names!r}\n")
    for name, text in found.items():
        (tmp_path / "alone" / "kit" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "alone" / "kit" / name).write_text(text)
    subprocess.run([sys.executable, "-c", cell], cwd=tmp_path / "alone", check=True)


# The setup cell ---------------------------------------------------------------------------------


def test_every_requirement_of_the_workbook_and_of_flower_is_looked_for():
    wanted = requirements.with_dependencies() | requirements.alone()
    assert {"torch", "ipywidgets", "flwr", "protobuf", "sqlalchemy", "iterators"} <= set(wanted)
    assert not {"ray", "uv", "jupyterlab", "pytest", "mcp"} & set(wanted)
    assert not set(requirements.with_dependencies()) & set(requirements.alone())


def test_only_what_is_not_installed_is_missing():
    wanted = {"numpy": "numpy>=99", "typing-extensions": "typing-extensions", "no-such-thing": "no-such-thing<2"}
    assert setup_cell.missing(wanted) == ["no-such-thing<2"]


@pytest.fixture
def pip(monkeypatch, tmp_path):
    """Record what pip is asked for, and the limits it gets; start in an empty folder."""
    calls = []

    def install(*arguments):
        limits = Path(arguments[1]).read_text().splitlines() if arguments[0] == "--constraint" else None
        calls.append((arguments, limits))

    monkeypatch.setattr(setup_cell, "pip_install", install)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    return calls


def test_what_is_missing_is_installed_within_the_limits_of_what_is_there(pip, tmp_path):
    setup_cell.set_up({"numpy": "numpy>=2", "aa": "aa<2"}, {"bb": "bb==1", "torch": "torch"}, "kit", ["kit", "kit/in"])
    (limited, limits), (without, none) = pip
    assert limited[2:] == ("aa<2",) and none is None
    assert any(re.fullmatch(r"torch==\d.*", line) for line in limits)
    assert without == ("--no-deps", "bb==1")
    assert (tmp_path / "kit" / "in").is_dir()
    assert sys.path[0] == str(tmp_path)


def test_where_nothing_is_missing_pip_is_not_asked(pip):
    setup_cell.set_up({"numpy": "numpy"}, {"torch": "torch"}, "kit", ["kit"])
    assert pip == []


def test_an_older_run_of_the_cells_is_forgotten(pip, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kit", None)
    monkeypatch.setitem(sys.modules, "kit.inner", None)
    monkeypatch.setitem(sys.modules, "kitchen", None)
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "__init__.py").write_text("# @title kit/__init__.py\n")
    setup_cell.set_up({}, {}, "kit", ["kit"])
    assert "kit" not in sys.modules and "kit.inner" not in sys.modules and "kitchen" in sys.modules


@pytest.mark.parametrize("name", ["__init__.py", "in/other.py"])
def test_a_folder_that_is_somebody_elses_is_left_alone(pip, tmp_path, name):
    (tmp_path / "kit" / name).parent.mkdir(parents=True)
    (tmp_path / "kit" / name).write_text('"""A module of somebody else."""\n')
    with pytest.raises(RuntimeError, match="kit is not of this notebook's making: run it elsewhere"):
        setup_cell.set_up({"aa": "aa"}, {}, "kit", ["kit", "kit/new"])
    assert pip == [] and not (tmp_path / "kit" / "new").exists()


def test_a_failing_pip_is_one_sentence():
    with pytest.raises(RuntimeError) as caught:
        setup_cell.pip_install("--no-index", "--find-links", "/nowhere", "no-such-thing==1")
    assert str(caught.value).startswith("pip could not install --no-index")
    assert "no-such-thing==1" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "most"), [("00_start_here", 6900), ("02_federated_averaging", 6800)])
def test_a_notebook_brings_few_lines_of_modules(name, most):
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    files = modules.files_behind([cell.source for cell in cells if cell.cell_type == "code"])
    lines = sum(len(text.splitlines()) for path, text in files.items() if path.suffix == ".py")
    assert 1000 < lines <= most


KINDS = "print({name: type(value).__name__ for name, value in list(globals().items()) if name[0] != '_'}, flush=True)"
# Answers programs, each in a child of its own, which finds the libraries imported but nothing of the package.
FORKS = """
import contextlib, importlib, json, os, sys, traceback
for name in ("torch", "torchvision", "flwr.app", "flwr.clientapp", "flwr.serverapp.strategy", "pandas", "matplotlib",
             "ipywidgets", "IPython", "pydantic", "pyarrow"):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
sys.path[:] = [entry for entry in sys.path if entry and not os.path.isdir(os.path.join(entry, "fedlearn_helpers"))]
for request in sys.stdin:
    code, folder, output = json.loads(request)
    if (child := os.fork()) == 0:
        os.chdir(folder)
        sys.path.insert(0, folder)
        with open(output, "w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        try:
            assert not any(name.startswith("fedlearn_helpers") for name in sys.modules)
            exec(code, {"__name__": "__main__"})
            assert sys.modules["fedlearn_helpers"].__file__ == os.path.join(folder, "fedlearn_helpers", "__init__.py")
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def output_of(tmp_path_factory):
    """A function: runs a program in a folder, and returns what it prints."""
    output = tmp_path_factory.mktemp("programs") / "output.txt"
    command = [sys.executable, "-c", FORKS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=output.parent
    ) as forks:

        def run(code, folder):
            forks.stdin.write(json.dumps([code, str(folder), str(output)]) + "\n")
            forks.stdin.flush()
            status = forks.stdout.readline()
            assert status == "0\n", output.read_text()
            return output.read_text()

        yield run
        forks.stdin.close()


@every_notebook
def test_what_a_notebook_imports_is_the_same_from_the_files_that_it_brings(path, tmp_path, output_of):
    """A function is a function there, and not the module of the same name."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    lines = [
        ast.unparse(node)
        for cell in cells
        if "fedlearn_helpers" in cell
        for node in ast.parse(cell).body
        if isinstance(node, ast.ImportFrom) and node.module.startswith("fedlearn_helpers")
    ]
    for file, text in modules.files_behind(cells).items():
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)
    code = "\n".join([*lines, KINDS])
    said = [output_of(code, folder) for folder in (tmp_path, ROOT)]
    assert said[0] == said[1] != ""

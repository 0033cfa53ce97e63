"""Every edition, executed alone in an empty folder, by Pythons that have neither the package nor Flower.

With FEDLEARN_TEST_ALL_COLAB=1 all of them run in both environments; else, since they are built alike, one in each.
"""

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill
import pytest
from environments import PINS, Environment, run
from lesson import all_lessons
from nbformat.v4 import new_code_cell
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from papermill.exceptions import PapermillExecutionError

from fedlearn_helpers.data.sources import read_embedded
from workbook_tools.editions.colab import build_edition, requirements, write_edition

pytestmark = pytest.mark.notebook
FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = [path.stem for path in sorted(FOLDER.glob("[0-9w][0-9]_*.ipynb"))]
ALL = os.environ.get("FEDLEARN_TEST_ALL_COLAB") == "1"
LESSONS = [name for name in NAMES if name[0].isdigit()]
NAMES_ON_COLAB, NAMES_ELSEWHERE = (NAMES, NAMES) if ALL else (["11_hospitals"], ["00_start_here"])

# What a learner does, appended to a notebook: moves every control, asks every exercise for hint and solution.
USE_IT = """
import fedlearn_helpers, ipywidgets, os, sys
assert os.path.dirname(fedlearn_helpers.__file__) == os.path.join(os.getcwd(), "fedlearn_helpers")
assert not os.path.exists("fedlearn_helpers/data/embedded")
every_widget = getattr(ipywidgets.Widget, "widgets", None) or ipywidgets.widgets.widget._instances
boxes = [widget for widget in every_widget.values() if isinstance(widget, ipywidgets.VBox)]
for box in boxes:
    *controls, picture = box.children
    for control in controls:
        if not (hasattr(control, "options") or hasattr(control, "min")):
            continue
        before, shown = control.value, picture.value
        if hasattr(control, "options"):
            values = [option[1] if isinstance(option, tuple) else option for option in control.options]
        else:
            values = [control.min, control.max]
        for value in values[:1] + values[-1:]:
            control.value = value
        control.value = before
        assert "<" in picture.value
for button in [widget for widget in every_widget.values() if isinstance(widget, ipywidgets.Button)]:
    button.click()
    assert not button.disabled
answered = 0
for exercise in vars(exercises).values():
    if type(exercise).__name__ == "Exercise":
        exercise.hint()
        exercise.solution()
        answered += 1
assert answered >= 3
print("used", len(boxes), answered, sys.version_info[:2], ipywidgets.__version__)
"""


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory):
    """Return the environment variables of all kernels: no network for data, and nothing of this project.

    The images that an edition would download are the embedded ones, as torchvision stores them.
    """
    raw = tmp_path_factory.mktemp("data") / "fashion-mnist" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    images = read_embedded()
    for split, pixels, labels in (
        ("train", images.train_images, images.train_labels),
        ("t10k", images.test_images, images.test_labels),
    ):
        header = struct.pack(">4i", 2051, len(pixels), 28, 28)
        (raw / f"{split}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        content = struct.pack(">2i", 2049, len(labels)) + labels.astype("uint8").tobytes()
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(content)
    return {
        "FEDLEARN_DATA": str(raw.parents[2]),
        "FEDLEARN_CACHE": str(tmp_path_factory.mktemp("cache")),
        "JUPYTER_PATH": str(tmp_path_factory.mktemp("jupyter")),
    }


@pytest.fixture(scope="module", autouse=True)
def no_project(surroundings):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in surroundings.items():
            patch.setenv(name, value)
        patch.delenv("PYTHONPATH", raising=False)
        yield


def execute(environment, name, folder, *more, **parameters) -> list:
    """Run an edition, with cells appended, in an empty folder; return the executed cells."""
    edition = nbformat.read(write_edition(FOLDER / f"{name}.ipynb", folder), as_version=4)
    edition.cells += [new_code_cell(source) for source in more]
    nbformat.write(edition, folder / f"{name}.ipynb")
    empty = folder / "empty"
    empty.mkdir()
    executed = papermill.execute_notebook(
        str(folder / f"{name}.ipynb"),
        str(folder / "executed.ipynb"),
        parameters=parameters,
        kernel_name=environment.kernel(Path(os.environ["JUPYTER_PATH"])),
        cwd=str(empty),
        progress_bar=False,
        execution_timeout=300,
        start_timeout=120,
    )
    return executed.cells


def printed(cell) -> str:
    return "".join(output["text"] for output in cell.outputs if output.output_type == "stream")


@dataclass(frozen=True)
class SetUp:
    """An environment before and after an edition's first cell ran in it, and what this cell printed."""

    environment: Environment
    before: dict[str, str]
    after: dict[str, str]
    said: str


def setup_source() -> str:
    return next(cell.source for cell in build_edition(FOLDER / f"{NAMES[0]}.ipynb").cells if cell.id == "colab-setup")


@pytest.fixture(scope="session")
def colab_set_up(colab, tmp_path_factory):
    before = colab.installed()
    said = run(colab.python, "-c", setup_source(), cwd=tmp_path_factory.mktemp("setup"))
    return SetUp(colab, before, colab.installed(), said)


def test_setup_leaves_everything_that_colab_has_as_it_is(colab_set_up, tmp_path):
    before, after = colab_set_up.before, colab_set_up.after
    pinned = {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in read_pins()}
    assert {name: before.get(name) for name in pinned} == pinned
    assert not set(requirements.with_dependencies()) - set(before), "Colab lacks what would come with dependencies"
    assert {name: after.get(name) for name in before} == before
    assert set(after) == set(before) | set(requirements.alone())
    assert "flwr" in colab_set_up.said
    again = run(colab_set_up.environment.python, "-c", setup_source(), cwd=tmp_path)
    assert again == "", "the second time nothing is missing"


def read_pins() -> list[Requirement]:
    return [Requirement(line) for line in PINS.read_text().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("name", NAMES_ON_COLAB)
def test_edition_runs_on_colab(colab_set_up, name, tmp_path):
    # one after the other: papermill changes the folder of this whole process while a notebook runs
    cells = execute(colab_set_up.environment, name, tmp_path, USE_IT, output_dir="results", **all_lessons()[name].small)
    assert json.loads((tmp_path / "empty" / "results" / "results.json").read_text())["notebook"] == name
    assert "(3, 13) 7.7.1" in printed(cells[-1])
    assert (name in LESSONS) == ("used 0" not in printed(cells[-1])), "lessons have widgets, wrap-ups have none"


@pytest.mark.parametrize("name", NAMES_ELSEWHERE)
def test_edition_runs_elsewhere(bare, name, tmp_path):
    before = bare.installed()
    cells = execute(bare, name, tmp_path, USE_IT, output_dir="results", **all_lessons()[name].small)
    results = json.loads((tmp_path / "empty" / "results" / "results.json").read_text())
    assert results["notebook"] == name and results["metrics"]
    assert "used" in printed(cells[-1])
    after = bare.installed()
    assert {package: after.get(package) for package in before} == before


def test_a_mistake_is_one_line_on_colab(colab_set_up, tmp_path):
    with pytest.raises(PapermillExecutionError) as caught:
        execute(colab_set_up.environment, "00_start_here", tmp_path, output_dir="results", num_rounds=0)
    assert caught.value.ename == "InputError"
    assert caught.value.evalue == "num_rounds must be >= 1, got 0"
    assert len(caught.value.traceback) == 1
    assert not (tmp_path / "empty" / "results").exists()

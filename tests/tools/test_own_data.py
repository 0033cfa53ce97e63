"""A small folder of one's own images, of many sizes, in the notebooks."""

import json
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from workbook_tools.cli import app

pytestmark = pytest.mark.notebook
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SMALL = {
    "01": (3, {"num_clients": 4, "epochs": 2, "batch_size": 20}),
    "03": (2, {"num_clients": 4, "clients_per_round": 2, "num_rounds": 1, "batch_size": 8}),
}


def make_images(folder, classes, count=40):
    rng = np.random.default_rng(0)
    for number in range(classes):
        (folder / f"class {number}").mkdir(parents=True)
        for image in range(count):
            height, width = rng.integers(20, 120, 2)
            pixels = rng.integers(0, 100, (height, width, 3), dtype=np.uint8)
            pixels[..., number] += 100
            Image.fromarray(pixels).save(folder / f"class {number}" / f"{image}.png")
    return folder


def run(number, folder, output, parameters):
    pairs = [f"dataset={folder}", *(f"{name}={value}" for name, value in parameters.items())]
    options = [text for pair in pairs for text in ("-p", pair)]
    return CliRunner().invoke(app, ["run", number, *options, "--folder", str(NOTEBOOKS), "--output", str(output)])


@pytest.mark.parametrize("number", SMALL)
def test_a_notebook_runs_on_a_folder_and_says_what_became_of_the_images(number, tmp_path):
    classes, parameters = SMALL[number]
    folder = make_images(tmp_path / "images", classes)
    result = run(number, folder, tmp_path / "out", parameters)
    assert result.exit_code == 0, result.output
    (executed,) = (tmp_path / "out").glob(f"{number}_*.ipynb")
    printed = [
        line
        for cell in nbformat.read(executed, as_version=4).cells
        for output in cell.get("outputs", [])
        for line in output.get("text", "").splitlines()
    ]
    assert (
        f"Images of {folder}, a fifth of each class kept for testing; centre-cropped and scaled to 32 x 32"
        in "".join(line for line in printed if line.startswith("Images of"))
    )
    (results,) = (tmp_path / "out" / "results").glob("*/results.json")
    metrics = json.loads(results.read_text())["metrics"]
    assert 0 <= metrics["local_only_test_accuracy"] <= 1


def test_a_folder_that_cannot_work_is_one_sentence(tmp_path):
    folder = make_images(tmp_path / "images", 1, count=3)
    result = run("01", folder, tmp_path / "out", {})
    assert result.exit_code == 1
    assert f"InputError: dataset must have images of at least 2 classes, got ['class 0'] in '{folder}'" in result.output

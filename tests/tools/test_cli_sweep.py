"""What `fedlearn sweep` runs, names, refuses and draws, without running it."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.errors import InputError
from workbook_tools.cli import app
from workbook_tools.execution import content, sweeps
from workbook_tools.execution.content import content_of, data_sets
from workbook_tools.execution.sweeps import OK, Finished, Sweep

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOK = FOLDER / "04_non_iid_data.ipynb"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["04", "-p", "alhpa=1"], "InputError: parameter must be one of alpha, batch_size, "),
        (["04", "-p", "alpha=0.5,-1"], "InputError: alpha must be > 0, got -1"),
        (["04", "-p", "alpha="], "InputError: the values of alpha must stand between commas, got ''"),
        (["04", "-p", "alpha=1,,2"], "InputError: the value of alpha must be a number, a text or another YAML value"),
        (["04", "-p", "alpha=1", "-p", "alpha=2"], "InputError: parameter must be given once, with commas between"),
        (["04", "-p", "alpha"], "InputError: a parameter must look like name=value, got 'alpha'"),
        (["04", "-p", "seed=1"], "InputError: parameter must not be 'seed' in a sweep, use --seeds 0,1"),
        (["04", "-p", "output_dir=x"], "InputError: parameter must not be 'output_dir' in a sweep, use --output"),
        (["04", "--seeds", "0,x"], "InputError: seeds must be whole numbers with commas between them, got '0,x'"),
        (["04", "--seeds", "-1"], "InputError: seed must be >= 0, got -1"),
        (["04", "--workers", "0"], "InputError: workers must be 'auto' or a whole number >= 1, got '0'"),
        (["44"], "InputError: notebooks must be among 00, "),
    ],
)
def test_mistakes_are_one_sentence_before_anything_runs(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps, "perform", lambda *_: pytest.fail("it ran"))
    result = CliRunner().invoke(app, ["sweep", *arguments, "--folder", str(FOLDER), "--output", str(tmp_path / "new")])
    assert result.exit_code == 1
    assert result.output.startswith(sentence) and len(result.output.splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_all_combinations_are_run_with_all_seeds():
    sweep = Sweep(NOTEBOOK, {"alpha": [0.1, 1], "num_rounds": [2]}, [0, 1])
    assert sweep.varied == ("alpha",)
    assert sweep.runs() == [{"alpha": alpha, "num_rounds": 2, "seed": seed} for alpha in (0.1, 1) for seed in (0, 1)]


def test_a_kept_run_is_found_again_by_all_that_decides_its_results(tmp_path):
    notebook = tmp_path / NOTEBOOK.name
    notebook.write_bytes(NOTEBOOK.read_bytes())

    def name(values, seed=0, data="one content"):
        sweep = Sweep(notebook, {name: [value] for name, value in values.items()}, [seed])
        return sweeps._home(tmp_path, sweep, sweep.runs()[0], data).name

    first = name({"alpha": 0.1})
    assert first == name({"alpha": 0.1, "workers": 2}), "the number of workers changes no result"
    others = {name({"alpha": 0.2}), name({"alpha": 0.1}, seed=1), name({"alpha": 0.1, "num_rounds": 3})}
    others.add(name({"alpha": 0.1}, data="another"))
    notebook.write_text(notebook.read_text().replace("Non-IID", "non-IID"))
    assert first == name({"alpha": 0.1}), "text computes nothing"
    notebook.write_text(notebook.read_text().replace("import numpy as np", "import numpy"))
    assert len({first, name({"alpha": 0.1}), *others}) == 6
    assert name({"dataset": "../x y/z"}).replace("=", "").replace("_", "").replace(".", "").replace("-", "").isalnum()


def test_a_kept_run_is_found_when_other_parameters_are_varied(tmp_path):
    alone = Sweep(NOTEBOOK, {"alpha": [0.1]}, [0])
    home = sweeps._home(tmp_path, alone, alone.runs()[0], "")
    home.mkdir()
    more = Sweep(NOTEBOOK, {"alpha": [0.1, 1]}, [0])
    found = [sweeps._home(tmp_path, more, run, "") for run in more.runs()]
    assert found[0] == home and found[1] != home
    assert "alpha=1" in found[1].name
    failed = home.rename(home.with_name(f"failed_{home.name}"))
    assert sweeps._home(tmp_path, alone, alone.runs()[0], "") not in (failed, found[1])


def test_the_table_has_a_row_for_every_run(tmp_path):
    sweep = Sweep(NOTEBOOK, {"alpha": [0.1, 1]}, [3])
    finished = [
        Finished(OK, {"fedavg_test_accuracy": 0.5, "per_round": [0.1, 0.5], "alpha": 9}, tmp_path),
        Finished("ValueError: x", {}, tmp_path),
    ]
    table = sweeps.tabulate(sweep, finished)
    assert list(table.columns) == ["alpha", "seed", "status", "fedavg_test_accuracy", "per_round", "alpha (metric)"]
    assert table["status"].tolist() == ["ok", "ValueError: x"]
    assert json.loads(table["per_round"][0]) == [0.1, 0.5] and pd.isna(table["per_round"][1])


def test_the_figure_shows_the_main_metrics_unless_told_otherwise():
    row = {"seed": 0, "status": OK, "x": 1, "fedavg_test_accuracy": 0.5, "centralized_test_accuracy": 0.6, "text": "t"}
    table = pd.DataFrame([row])
    assert sweeps.metrics_to_draw(table) == ["fedavg_test_accuracy", "centralized_test_accuracy"]
    assert sweeps.metrics_to_draw(table, ["x"]) == ["x"]
    assert sweeps.metrics_to_draw(table.drop(columns=["fedavg_test_accuracy", "centralized_test_accuracy"])) == ["x"]
    with pytest.raises(InputError, match="metrics must be among x, fedavg_test_accuracy, .*, got text"):
        sweeps.metrics_to_draw(table, ["text"])


# What is in the data ---------------------------------------------------------------------------


def write_images(folder, seed=0, count=6):
    """Write images of noise of two classes."""
    rng = np.random.default_rng(seed)
    for name in ("cats", "dogs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_a_folder_of_images_is_known_by_what_is_in_it(tmp_path, monkeypatch):
    images = write_images(tmp_path / "here" / "images")
    first = content_of([str(images)])[str(images)]
    monkeypatch.chdir(tmp_path / "here")
    copied = shutil.copytree(images, tmp_path / "copy")
    assert set(content_of(["images", "./images", str(copied)]).values()) == {first}, "another path to the same images"

    write_images(tmp_path / "there" / "images", seed=1)
    monkeypatch.chdir(tmp_path / "there")
    assert content_of(["images"])["images"] != first, "the same path from another folder"

    (images / "cats" / "0.png").rename(images / "dogs" / "moved.png")
    moved = content_of([str(images)])[str(images)]
    write_images(images, seed=2)
    assert len({first, moved, content_of([str(images)])[str(images)]}) == 3


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_another_copy_of_a_known_data_set_is_another_content(tmp_path, monkeypatch):
    keys = []
    for seed in (0, 1, 0):
        folder = tmp_path / f"{len(keys)}" / "cifar10"
        folder.mkdir(parents=True)
        rng = np.random.default_rng(seed)
        for split, count in (("train", 12), ("test", 6)):
            images = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
            encoded = [{"bytes": png(image), "path": ""} for image in images]
            table = pa.table({"img": encoded, "label": pa.array(rng.integers(0, 10, count), pa.int64())})
            pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")
        monkeypatch.setenv("FEDLEARN_DATA", str(folder.parent))
        keys.append(content_of(["cifar10"])["cifar10"])
    assert keys[0] == keys[2] != keys[1] and all(keys)


def test_each_data_set_is_loaded_once_for_all_runs(tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(content, "load_dataset", lambda name: loaded.append(name) or load_dataset("fashion"))
    images = [str(write_images(tmp_path / name)) for name in ("a", "b")]
    sweep = Sweep(NOTEBOOK, {"alpha": [0.1, 1], "dataset": images}, [0, 1])
    names = data_sets(NOTEBOOK, sweep.runs())
    assert names == [*images[:1] * 2, *images[1:] * 2] * 2
    content_of(names)
    assert sorted(loaded) == images
    assert data_sets(NOTEBOOK, [{"alpha": 1}]) == ["fashion"], "the notebook's own"


def test_data_that_cannot_be_loaded_have_no_key_and_their_runs_say_why(tmp_path):
    (tmp_path / "empty").mkdir()
    names = ["", "imagenet", str(tmp_path / "empty")]
    assert content_of(names) == dict.fromkeys(names, "")


class Instant:
    """Stands for what runs notebooks."""

    def __init__(self, notebook, workers):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *details):
        pass

    def stop(self):
        pass

    def run(self, home, parameters):
        home.mkdir(parents=True)
        (home / "results.json").write_text(json.dumps({"metrics": {"test_accuracy": parameters["alpha"]}}))
        return sweeps._read(home), 0.0


def test_only_runs_on_images_that_changed_are_repeated(tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps, "_Runner", Instant)
    images = [str(write_images(tmp_path / name, seed)) for seed, name in enumerate("ab")]
    sweep = Sweep(NOTEBOOK, {"alpha": [0.1, 1], "dataset": images}, [0, 1])
    repeated = []

    def perform():
        repeated.clear()
        finished = sweeps.perform(sweep, tmp_path / "runs", 1, lambda run, *_: repeated.append(run["dataset"]))
        assert [outcome.metrics["test_accuracy"] for outcome in finished] == [0.1] * 4 + [1] * 4
        return repeated

    assert len(perform()) == 8
    assert perform() == []
    write_images(tmp_path / "b", seed=5)
    assert perform() == [images[1]] * 4
    write_images(tmp_path / "b", seed=1)
    assert perform() == [], "what was kept of the first images"

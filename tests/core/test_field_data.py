"""The code of the page on data of the field, on a folder in the Hub's layout with a column of writers."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from fedlearn_helpers.errors import InputError

PAGE = Path(__file__).parents[2] / "docs" / "field_data.md"
WRITERS = {"f0001_41": 7, "f0000_14": 5, "f0002_07": 2}  # not in the order of the file
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The names that the page's Python defines; libraries keep to a folder of the test, and off the network."""
    cache = tmp_path_factory.mktemp("hub")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", "FLWR_TELEMETRY_ENABLED": "0"}.items():
            patch.setenv(name, value)
        pytest.importorskip("flwr_datasets", reason="flwr-datasets is not installed: make .venv-bench/ready has it")
        names = {}
        for number, example in enumerate(re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)):
            exec(compile(example, f"docs/field_data.md, example {number}", "exec"), names)
        yield names


def write_folder(folder, sizes):
    """Write images with writers, as flwrlabs/femnist has them; an image is as bright as its writer's number."""
    from datasets import ClassLabel, Dataset, Features, Image, Value
    from PIL import Image as Pillow

    writers = [name for name, count in sizes.items() for _ in range(count)]
    numbers = {name: number for number, name in enumerate(sorted(sizes))}
    rows = {
        "image": [Pillow.fromarray(np.full((28, 28), 10 * numbers[name], np.uint8)) for name in writers],
        "writer_id": writers,
        "hsf_id": [0] * len(writers),
        "character": [place % 62 for place in range(len(writers))],
    }
    kinds = {"image": Image(), "writer_id": Value("string"), "hsf_id": Value("int64"), "character": ClassLabel(62)}
    (folder / "data").mkdir(parents=True)
    Dataset.from_dict(rows, Features(kinds)).to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    return str(folder)


def test_each_writer_becomes_a_client(page, tmp_path):
    writers = page["load_writers"](write_folder(tmp_path / "femnist", WRITERS))
    assert [set(writer["writer_id"]) for writer in writers] == [{name} for name in sorted(WRITERS)]
    assert [len(writer) for writer in writers] == [WRITERS[name] for name in sorted(WRITERS)]


def test_images_labels_and_shards_stay_with_their_writer(page, tmp_path):
    writers = page["load_writers"](write_folder(tmp_path / "femnist", WRITERS))
    dataset, shards = page["to_examples"](writers, num_unseen=1)
    assert dataset.train_inputs.shape == (12, 1, 28, 28) and dataset.train_inputs.dtype == torch.uint8
    assert dataset.test_inputs.shape == (2, 1, 28, 28) and set(dataset.test_inputs.flatten().tolist()) == {20}
    assert dataset.train_targets.tolist() == [*range(7, 12), *range(7)], "by writer, not in the order of the file"
    assert dataset.test_targets.tolist() == [12, 13]
    for number, shard in enumerate(shards):
        own = np.concatenate([shard.train, shard.validation])
        assert set(dataset.train_inputs[own].flatten().tolist()) == {10 * number}
    everything = np.concatenate([part for shard in shards for part in (shard.train, shard.validation)])
    assert sorted(everything) == list(range(12))


def test_a_federation_runs_on_them(page, tmp_path):
    folder = write_folder(tmp_path / "femnist", WRITERS)
    result = page["federate_writers"](folder, num_writers=2, num_unseen=1, num_rounds=1)
    assert len(result.members.own) == 2 and 0 <= result.test_accuracy[-1] <= 1


def test_a_writer_with_a_single_image_is_refused(page, tmp_path):
    writers = page["load_writers"](write_folder(tmp_path / "femnist", WRITERS | {"f0000_00": 1}))
    with pytest.raises(InputError, match="every client needs at least 2 examples"):
        page["to_examples"](writers, num_unseen=1)

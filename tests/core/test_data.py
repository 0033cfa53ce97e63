"""Data sets that are on this machine: embedded, or below FEDLEARN_DATA."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from small_data import assert_holds, hub_table

from fedlearn_helpers import data
from fedlearn_helpers.data import KNOWN_DATASETS, load_dataset, sources
from fedlearn_helpers.errors import InputError

# Embedded -------------------------------------------------------------------------------


def test_embedded_data_set_needs_nothing(cache):
    dataset = load_dataset("fashion")
    assert dataset.train_images.shape == (10_000, 1, 28, 28)
    assert dataset.test_images.shape == (2_000, 1, 28, 28)
    assert dataset.train_images.dtype == dataset.test_images.dtype == torch.uint8
    assert dataset.train_labels.dtype == dataset.test_labels.dtype == torch.int64
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (10_000, 2_000)
    assert dataset.num_classes == 10 and dataset.image_shape == (1, 28, 28)
    assert (dataset.class_names[0], dataset.class_names[9]) == ("T-shirt/top", "ankle boot")
    assert not cache.exists()


def test_embedded_images_are_fashion_mnists_first():
    dataset = load_dataset("fashion")
    assert (dataset.train_images.min(), dataset.train_images.max()) == (0, 255)
    assert dataset.train_labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert dataset.test_labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    training = {image.tobytes() for image in dataset.train_images.numpy()}
    assert len(training) == 10_000 and not any(image.tobytes() in training for image in dataset.test_images.numpy())
    for labels in (dataset.train_labels, dataset.test_labels):
        counts = labels.bincount(minlength=10)
        assert len(counts) == 10 and counts.min() > 0.08 * len(labels)


def test_licence_lies_beside_the_embedded_images():
    text = (Path(data.__file__).parent / "embedded" / "fashion_mnist_LICENSE.txt").read_text()
    assert "MIT License" in text and "Zalando" in text


def test_data_set_describes_itself():
    dataset = load_dataset("fashion")
    text = str(dataset)
    assert text.startswith("fashion: 10,000 training and 2,000 test images, 1 x 28 x 28 pixels, 10 classes.")
    assert text.endswith(dataset.origin) and "Zalando" in text


def test_moving_to_the_same_device_copies_nothing():
    dataset = load_dataset("fashion")
    assert dataset.to("cpu").train_images.data_ptr() == dataset.train_images.data_ptr()


@pytest.mark.parametrize("name", ["cifar100", "", "no/such/folder", "~nobody-by-this-name/images", "x" * 5000])
def test_unknown_name_is_one_sentence_with_the_known_ones(name):
    with pytest.raises(InputError) as caught:
        load_dataset(name)
    message = str(caught.value)
    assert all(repr(known) in message for known in KNOWN_DATASETS)
    assert message.startswith("dataset must be") and message.endswith(f"got {name!r}") and "\n" not in message


# FEDLEARN_DATA, the Hub's layout -----------------------------------------------------------


@pytest.fixture
def local_cifar10(cifar10_folder, monkeypatch):
    monkeypatch.setenv("FEDLEARN_DATA", str(cifar10_folder.root))
    return cifar10_folder


def test_parquet_pixels_are_what_was_encoded(local_cifar10):
    dataset = load_dataset("cifar10")
    assert_holds(dataset, local_cifar10)
    assert dataset.class_names == sources.CIFAR10_CLASSES
    assert str(local_cifar10.root) in dataset.origin


def test_second_load_comes_from_the_cache(local_cifar10, monkeypatch):
    load_dataset("cifar10")
    monkeypatch.setattr(sources, "read_parquet", lambda *args: pytest.fail("decoded again"))
    assert_holds(load_dataset("cifar10"), local_cifar10)


def test_cache_serves_without_the_source(local_cifar10, monkeypatch):
    load_dataset("cifar10")
    monkeypatch.delenv("FEDLEARN_DATA")
    assert_holds(load_dataset("cifar10"), local_cifar10)


def test_changed_source_is_decoded_anew(local_cifar10):
    load_dataset("cifar10")
    local_cifar10.train_images = 255 - local_cifar10.train_images
    path = local_cifar10.files["train"]
    before = path.stat()
    pq.write_table(hub_table(local_cifar10.train_images, local_cifar10.train_labels), path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))
    assert_holds(load_dataset("cifar10"), local_cifar10)


def test_older_file_names_with_a_hash_are_found(local_cifar10):
    for split, path in local_cifar10.files.items():
        path.rename(path.with_name(f"{split}-00000-of-00001-b4aaeceff1d90ecb.parquet"))
    assert_holds(load_dataset("cifar10"), local_cifar10)


def test_one_of_several_parquet_files_is_not_taken_for_all(local_cifar10):
    path = local_cifar10.files["train"]
    path.rename(path.with_name("train-00000-of-00002.parquet"))
    with pytest.raises(InputError, match="with test-00000-of-00001.parquet, train-00000-of-00002.parquet$"):
        load_dataset("cifar10")


WRONG_FILES = {
    "not parquet": lambda path: path.write_bytes(b"not parquet at all"),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "other columns": lambda path: pq.write_table(pa.table({"image": [b""], "label": [0]}), path),
    "images not in a struct": lambda path: pq.write_table(pa.table({"img": [b"x"], "label": [0]}), path),
    "no image bytes": lambda path: pq.write_table(
        pa.table({"img": [{"bytes": b"junk", "path": ""}], "label": [0]}), path
    ),
    "another size": lambda path: pq.write_table(hub_table(np.zeros((1, 3, 28, 28), np.uint8), [0]), path),
}


@pytest.mark.parametrize("spoil", WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_wrong_parquet_file_is_named(local_cifar10, cache, spoil):
    spoil(local_cifar10.files["test"])
    with pytest.raises(InputError) as caught:
        load_dataset("cifar10")
    assert str(local_cifar10.files["test"]) in str(caught.value) and "\n" not in str(caught.value)
    assert list(cache.iterdir()) == []


# FEDLEARN_DATA, anything else --------------------------------------------------------------


def test_fedlearn_data_must_be_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDLEARN_DATA", str(tmp_path / "missing"))
    with pytest.raises(InputError, match="FEDLEARN_DATA must be an existing folder, got '.*missing'"):
        load_dataset("cifar10")


@pytest.mark.parametrize(
    ("name", "layouts"),
    [
        ("cifar10", "the Hub's parquet files or torchvision's files in cifar-10-batches-py, unpacked"),
        ("mnist", "torchvision's files in MNIST/raw, unpacked"),
        ("fashion-mnist", "torchvision's files in FashionMNIST/raw, unpacked"),
    ],
)
def test_folder_with_nothing_recognisable(tmp_path, monkeypatch, name, layouts):
    (tmp_path / name).mkdir()
    (tmp_path / name / "readme.txt").write_text("nothing here")
    monkeypatch.setenv("FEDLEARN_DATA", str(tmp_path))
    with pytest.raises(InputError, match=f"must hold {name} as {layouts}, got '.*{name}' with readme.txt$"):
        load_dataset(name)


def test_embedded_data_set_ignores_fedlearn_data(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDLEARN_DATA", str(tmp_path / "missing"))
    assert len(load_dataset("fashion").train_images) == 10_000

"""The cache: mapped, checked, and never half-written."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from fedlearn_helpers.data import cache as cache_module
from fedlearn_helpers.data import load_dataset, sources
from fedlearn_helpers.data.cache import Decoded, cache_folder, cached, files_key, read_entry
from fedlearn_helpers.errors import InputError


def decoded(value=7):
    images, labels = np.full((5, 1, 4, 4), value, np.uint8), np.arange(5)
    return Decoded(images, labels, images[:2].copy(), labels[:2].copy(), ("a", "b"), "made up")


class Builder:
    """Counts how often it has to decode."""

    def __init__(self, value=7):
        self.value, self.calls = value, 0

    def __call__(self, scratch):
        self.calls += 1
        assert list(scratch.iterdir()) == []
        (scratch / "temporary").write_text("x")
        return decoded(self.value)


def flip_last_byte(entry):
    path = entry / "train_images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def truncate(entry):
    path = entry / "test_labels.npy"
    path.write_bytes(path.read_bytes()[:-8])


def list_no_files(entry):
    path = entry / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"files": {}}))
    flip_last_byte(entry)


DAMAGE = {
    "a flipped bit": flip_last_byte,
    "a truncated array": truncate,
    "a missing array": lambda entry: (entry / "train_labels.npy").unlink(),
    "no manifest": lambda entry: (entry / "manifest.json").unlink(),
    "a manifest of nothing": list_no_files,
    "a manifest that is not JSON": lambda entry: (entry / "manifest.json").write_text("{"),
    "a manifest that is not text": lambda entry: (entry / "manifest.json").write_bytes(b"\xff\x00"),
    "a manifest that is null": lambda entry: (entry / "manifest.json").write_text("null"),
    "a manifest that is a list": lambda entry: (entry / "manifest.json").write_text("[1]"),
    "a manifest with a list of files": lambda entry: (entry / "manifest.json").write_text('{"files": ["x"]}'),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_entry_is_built_anew(cache, capsys, damage):
    build = Builder()
    cached("toy", "k", build)
    (entry,) = cache.iterdir()
    damage(entry)
    again = cached("toy", "k", build)
    assert build.calls == 2
    assert "damaged" in capsys.readouterr().out
    np.testing.assert_array_equal(again.train_images, decoded().train_images)
    np.testing.assert_array_equal(again.test_labels, decoded().test_labels)
    cached("toy", "k", build)
    assert build.calls == 2, "what was built anew must be whole"


def test_entry_returns_what_was_stored(cache):
    build = Builder()
    for _ in range(2):
        stored = cached("toy", "k", build)
        for name in ("train_images", "train_labels", "test_images", "test_labels"):
            expected = getattr(decoded(), name)
            np.testing.assert_array_equal(getattr(stored, name), expected)
            assert getattr(stored, name).dtype == expected.dtype
        assert (stored.class_names, stored.origin) == (("a", "b"), "made up")
    assert build.calls == 1
    assert sorted(path.name for path in next(cache.iterdir()).iterdir()) == [
        "manifest.json",
        "test_images.npy",
        "test_labels.npy",
        "train_images.npy",
        "train_labels.npy",
    ]


def test_entries_differ_by_name_and_key():
    assert cached("toy", "a", Builder(1)).train_images[0, 0, 0, 0] == 1
    assert cached("toy", "b", Builder(2)).train_images[0, 0, 0, 0] == 2
    assert cached("other-toy", "a", Builder(3)).train_images[0, 0, 0, 0] == 3
    assert read_entry("toy", "a").train_images[0, 0, 0, 0] == 1


def test_without_a_key_the_newest_entry_is_read(cache):
    for age, key in ((100, "a"), (50, "b"), (200, "c")):
        cached("toy", key, Builder(age))
        entry = next(cache.glob(f"toy-*-{key}"))
        os.utime(entry, (time.time() - age, time.time() - age))
    cached("other-toy", "z", Builder(1))
    assert read_entry("toy").train_images[0, 0, 0, 0] == 50
    assert read_entry("unknown") is None


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_a_build_that_failed(cache, kind):
    def build(scratch):
        (scratch / "half.bin").write_bytes(b"x" * 1000)
        raise kind("stop")

    with pytest.raises(kind, match="stop"):
        cached("toy", "k", build)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_an_interrupted_decoder(cache, cifar10_folder, monkeypatch, kind):
    def read_parquet(*args):
        assert list(cache.glob(".unfinished-*"))
        raise kind

    monkeypatch.setenv("FEDLEARN_DATA", str(cifar10_folder.root))
    monkeypatch.setattr(sources, "read_parquet", read_parquet)
    with pytest.raises(kind):
        load_dataset("cifar10")
    assert list(cache.iterdir()) == []


def test_nothing_is_left_when_the_disk_is_full(cache, monkeypatch):
    def save(path, array):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module.np, "save", save)
    with pytest.raises(InputError, match="FEDLEARN_CACHE must be .* has room, got .* \\(No space left on device\\)"):
        cached("toy", "k", Builder())
    assert list(cache.iterdir()) == []


def test_remains_of_a_killed_process_go_after_a_day(cache):
    for name, hours in ((".unfinished-old", 25), (".unfinished-new", 1)):
        (cache / name / "scratch").mkdir(parents=True)
        os.utime(cache / name, (time.time() - hours * 3600,) * 2)
    cached("toy", "k", Builder())
    assert sorted(path.name for path in cache.iterdir()) == [".unfinished-new", "toy-v1-k"]


def test_another_process_may_be_faster(cache):
    def build(scratch):
        cached("toy", "k", Builder(1))
        return decoded(1)

    assert cached("toy", "k", build).train_images[0, 0, 0, 0] == 1
    assert [path.name for path in cache.iterdir()] == ["toy-v1-k"]


def test_cache_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FEDLEARN_CACHE", str(tmp_path / "file"))
    build = Builder()
    with pytest.raises(InputError, match="FEDLEARN_CACHE must be a folder that can be written .*, got '.*file'"):
        cached("toy", "k", build)
    assert build.calls == 0, "an hour of decoding must not end in this message"


# Memory mapping ------------------------------------------------------------------------


def mapped_file(tensor):
    """Return the file that the kernel maps at the tensor's address, or None."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, *_, path = line.split(maxsplit=5) + [""]
        start, end = (int(address, 16) for address in addresses.split("-"))
        if start <= tensor.data_ptr() < end:
            return next((field for field in line.split() if field.startswith("/")), None)
    return None


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's list of mapped files")
def test_tensors_are_the_mapped_file_and_not_a_copy(cache, cifar10_folder, monkeypatch):
    monkeypatch.setenv("FEDLEARN_DATA", str(cifar10_folder.root))
    (entry,) = {mapped_file(load_dataset("cifar10").train_images) for _ in range(2)}
    assert entry.endswith("train_images.npy") and Path(entry).is_relative_to(cache)
    assert mapped_file(load_dataset("fashion").train_images) is None, "negative control"


def test_arrays_are_memory_maps():
    cached("toy", "k", Builder())
    assert isinstance(read_entry("toy", "k").train_images, np.memmap)


def test_writing_to_a_tensor_reaches_neither_file_nor_other_loads(cache, cifar10_folder, monkeypatch):
    monkeypatch.setenv("FEDLEARN_DATA", str(cifar10_folder.root))
    first, second = load_dataset("cifar10"), load_dataset("cifar10")
    first.train_images.add_(1)
    assert not np.array_equal(first.train_images.numpy(), cifar10_folder.train_images)
    for untouched in (second, load_dataset("cifar10")):
        np.testing.assert_array_equal(untouched.train_images.numpy(), cifar10_folder.train_images)


# Where and under which key -------------------------------------------------------------


def test_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FEDLEARN_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("FEDLEARN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "fedlearn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "fedlearn"


def test_key_changes_with_the_files(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_text("same")
    key = files_key(paths)
    assert files_key(paths[::-1]) == key
    assert files_key(paths[:1]) != key
    modified = paths[1].stat().st_mtime_ns
    os.utime(paths[1], ns=(modified, modified + 1))
    touched = files_key(paths)
    assert touched != key
    paths[0].write_text("longer than before")
    assert files_key(paths) not in (key, touched)

"""The cache: mapped, checked, and never half-written."""

import json
import multiprocessing
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fedlearn_helpers.data import cache as cache_module
from fedlearn_helpers.data import load_dataset, sources
from fedlearn_helpers.data.cache import Decoded, cache_folder, cached, files_key, read_entry
from fedlearn_helpers.errors import InputError
from workbook_tools.cli import app


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


# The places in a file of arrays: its header begins with a mark and a version, and ends before byte 128.
PLACES = {"mark": 1, "version": 6, "length of the header": 8, "shape": 60, "padding": 120, "body": 140, "end": -1}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["train_images", "train_labels", "test_images", "test_labels"])
def test_damage_is_noticed_wherever_it_is(cache, capsys, name, place):
    build = Builder()
    cached("toy", "k", build)
    (entry,) = cache.iterdir()
    path = entry / f"{name}.npy"
    content = bytearray(path.read_bytes())
    content[PLACES[place]] ^= 1 << 3
    path.write_bytes(content)
    again = cached("toy", "k", build)
    assert build.calls == 2 and "damaged" in capsys.readouterr().out
    np.testing.assert_array_equal(getattr(again, name), getattr(decoded(), name))


def test_damage_to_the_manifest_never_changes_what_is_read(cache):
    """Names of classes count as much as pixels. Damage to a blank, or to the name of the hash, changes nothing."""
    cached("toy", "k", Builder())
    (entry,) = cache.iterdir()
    whole = (entry / "manifest.json").read_bytes()
    noticed = 0
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        (entry / "manifest.json").write_bytes(content)
        read = cache_module.read_intact(entry)
        noticed += read is None
        assert read is None or (read.class_names, read.origin) == (("a", "b"), "made up"), place
    assert noticed > 0.8 * len(whole)


def test_random_damage_to_a_data_set_is_noticed(cache, cifar10_folder, monkeypatch):
    monkeypatch.setenv("FEDLEARN_DATA", str(cifar10_folder.root))
    load_dataset("cifar10")
    rng = np.random.default_rng(0)
    for _ in range(20):
        (entry,) = cache.iterdir()
        path = rng.choice(sorted(entry.glob("*.npy")))
        content = bytearray(path.read_bytes())
        first = rng.integers(len(content))
        for place in range(first, min(first + rng.integers(1, 100), len(content))):
            content[place] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        dataset = load_dataset("cifar10")
        np.testing.assert_array_equal(dataset.train_images.numpy(), cifar10_folder.train_images)
        np.testing.assert_array_equal(dataset.test_labels.numpy(), cifar10_folder.test_labels)


def test_an_entry_of_version_0_1_0_is_still_read(cache):
    build = Builder()
    cached("toy", "k", build)
    (path,) = cache.glob("*/manifest.json")
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    path.write_text(json.dumps(manifest))
    cached("toy", "k", build)
    assert build.calls == 1


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


def test_nothing_is_left_of_a_data_set_that_is_larger_than_the_disk(cache, cifar10_folder, monkeypatch, small_disk):
    monkeypatch.setenv("FEDLEARN_DATA", str(cifar10_folder.root))
    with small_disk(20_000), pytest.raises(InputError, match="FEDLEARN_CACHE must be .* has room"):
        load_dataset("cifar10")
    assert list(cache.iterdir()) == []
    assert len(load_dataset("cifar10").train_images) == 12


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


def test_a_folder_that_another_process_has_just_renamed_is_no_trouble(cache, monkeypatch):
    """Between listing the cache and looking at what is in it, others may be done."""
    (cache / ".unfinished-other").mkdir(parents=True)
    (cache / "toy-v1-k").mkdir()
    stat, gone = Path.stat, {".unfinished-other", "toy-v1-k"}

    def vanish(path, **options):
        if path.name in gone:
            gone.remove(path.name)
            shutil.rmtree(path)
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", vanish)
    assert read_entry("toy") is None
    assert cached("toy", "k", Builder(1)).train_images[0, 0, 0, 0] == 1
    assert not gone and [path.name for path in cache.iterdir()] == ["toy-v1-k"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("damaged", [False, True])
def test_processes_that_load_the_same_data_at_once_all_get_them(cache, damaged):
    if damaged:
        cached("toy", "k", Builder(7))
        flip_last_byte(next(cache.iterdir()))
    forked = multiprocessing.get_context("fork")
    start, sums = forked.Barrier(4), forked.Queue()

    def load():
        start.wait()
        try:
            sums.put(int(cached("toy", "k", Builder(7)).train_images.sum()))
        except BaseException as error:
            sums.put(repr(error))

    processes = [forked.Process(target=load) for _ in range(4)]
    for process in processes:
        process.start()
    found = [sums.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert found == [int(decoded(7).train_images.sum())] * 4
    assert [path.name for path in cache.iterdir()] == ["toy-v1-k"]
    assert read_entry("toy", "k") is not None


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


def test_a_moved_file_changes_the_key_and_so_does_what_else_counts(tmp_path):
    path = tmp_path / "a"
    path.write_text("same")
    key = files_key([path])
    assert files_key([path], "fact") != key
    path.rename(tmp_path / "b")
    assert files_key([tmp_path / "b"]) != key


# Homes that are of no use ----------------------------------------------------------------


@pytest.fixture
def nobody(monkeypatch):
    """Be a user id that the system does not know, without HOME, as in some containers."""

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    pwd = pytest.importorskip("pwd", reason="needs Unix")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME", "FEDLEARN_CACHE"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_home_the_embedded_data_set_works_and_others_say_what_to_set(nobody, tmp_path, monkeypatch):
    assert len(load_dataset("fashion").train_images) == 10_000
    with pytest.raises(InputError, match="^FEDLEARN_CACHE must be the whole path of a folder, .* got nothing$"):
        load_dataset("cifar10")
    monkeypatch.setenv("FEDLEARN_CACHE", "~/mine")
    with pytest.raises(InputError, match="^FEDLEARN_CACHE must be the whole path of a folder, .*, got '~/mine'$"):
        cache_folder()
    monkeypatch.setenv("FEDLEARN_CACHE", str(tmp_path / "whole"))
    assert cached("toy", "k", Builder()).origin == "made up"


def test_without_a_home_doctor_and_data_say_so(nobody):
    said = CliRunner().invoke(app, ["doctor"])
    assert said.exit_code == 1 and "this user has no home folder, where Jupyter keeps its files" in said.output
    said = CliRunner().invoke(app, ["data"])
    assert said.exit_code == 1
    assert said.output.startswith("InputError: FEDLEARN_CACHE must be the whole path") and said.output.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder in which nobody can write")
def test_a_home_that_cannot_be_written_is_one_sentence(monkeypatch, cifar10_folder):
    monkeypatch.setenv("HOME", "/proc")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("FEDLEARN_CACHE")
    monkeypatch.setenv("FEDLEARN_DATA", str(cifar10_folder.root))
    assert len(load_dataset("fashion").train_images) == 10_000
    with pytest.raises(InputError, match="^FEDLEARN_CACHE must be a folder .*, got '/proc/.cache/fedlearn'"):
        load_dataset("cifar10")

"""Data sets from the network, played by a server on this machine."""

import gzip
import hashlib
import io
import pickle
import socket
import struct
import tarfile
import time

import numpy as np
import pytest
import torchvision.datasets
from small_data import HUB_PATH, NOWHERE, assert_holds

from fedlearn_helpers.data import download as download_module
from fedlearn_helpers.data import load_dataset, sources
from fedlearn_helpers.data.download import download
from fedlearn_helpers.errors import DataUnavailableError, InputError

TORONTO = "/cifar-10-python.tar.gz"


@pytest.fixture
def impatient(monkeypatch):
    """Wait shorter for a server than it is silent."""
    monkeypatch.setattr(download_module, "_SECONDS_TO_WAIT", 0.2)


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture(autouse=True)
def no_real_mirrors(monkeypatch):
    """Whatever a test forgets to serve is not fetched from the internet."""
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", NOWHERE + TORONTO)
    for reader in (torchvision.datasets.MNIST, torchvision.datasets.FashionMNIST):
        monkeypatch.setattr(reader, "mirrors", [NOWHERE + "/"])


@pytest.fixture
def cifar10_batches(cifar10_folder, monkeypatch):
    """Return the small CIFAR-10 as torchvision's files by name, and tell torchvision their checksums."""
    train_images = cifar10_folder.train_images.reshape(-1, 3072)
    train_labels = cifar10_folder.train_labels.tolist()
    contents = {
        "data_batch_1": {"data": train_images[:8], "labels": train_labels[:8]},
        "data_batch_2": {"data": train_images[8:], "labels": train_labels[8:]},
        "test_batch": {
            "data": cifar10_folder.test_images.reshape(-1, 3072),
            "labels": cifar10_folder.test_labels.tolist(),
        },
        "batches.meta": {"label_names": list(sources.CIFAR10_CLASSES)},
    }
    batches = {name: pickle.dumps(content) for name, content in contents.items()}
    reader = torchvision.datasets.CIFAR10
    listed = {name: [name, md5(content)] for name, content in batches.items()}
    monkeypatch.setattr(reader, "train_list", [listed["data_batch_1"], listed["data_batch_2"]])
    monkeypatch.setattr(reader, "test_list", [listed["test_batch"]])
    monkeypatch.setattr(reader, "meta", reader.meta | {"md5": listed["batches.meta"][1]})
    return batches


@pytest.fixture
def toronto(stand_in, cifar10_batches, monkeypatch):
    """Serve the small CIFAR-10 as its home does, in one archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in cifar10_batches.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    stand_in.files[TORONTO] = buffer.getvalue()
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", stand_in.url + TORONTO)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "tgz_md5", md5(buffer.getvalue()))
    return stand_in


MNIST_IMAGES = np.random.default_rng(1).integers(0, 256, (9, 28, 28), dtype=np.uint8)
MNIST_LABELS = np.arange(9, dtype=np.uint8)


def idx_files():
    """Return six training and three test images in MNIST's own format, by file name."""
    files = {}
    for split, part in (("train", slice(0, 6)), ("t10k", slice(6, 9))):
        images, labels = MNIST_IMAGES[part], MNIST_LABELS[part]
        files[f"{split}-images-idx3-ubyte"] = struct.pack(">4i", 2051, *images.shape) + images.tobytes()
        files[f"{split}-labels-idx1-ubyte"] = struct.pack(">2i", 2049, len(labels)) + labels.tobytes()
    return files


@pytest.fixture
def mirror(stand_in, monkeypatch):
    """Serve the same small files as MNIST and as Fashion-MNIST."""
    packed = {f"{name}.gz": gzip.compress(content) for name, content in idx_files().items()}
    stand_in.files |= {f"/{name}": content for name, content in packed.items()}
    for reader in (torchvision.datasets.MNIST, torchvision.datasets.FashionMNIST):
        monkeypatch.setattr(reader, "mirrors", [stand_in.url + "/"])
        monkeypatch.setattr(reader, "resources", [(name, md5(content)) for name, content in packed.items()])
    return stand_in


def assert_is_small_mnist(dataset):
    np.testing.assert_array_equal(dataset.train_images.numpy(), MNIST_IMAGES[:6, None])
    np.testing.assert_array_equal(dataset.test_images.numpy(), MNIST_IMAGES[6:, None])
    np.testing.assert_array_equal(dataset.train_labels.numpy(), MNIST_LABELS[:6])
    np.testing.assert_array_equal(dataset.test_labels.numpy(), MNIST_LABELS[6:])


# CIFAR-10 from the Hub -----------------------------------------------------------------


def test_cifar10_comes_from_the_hub_once(hub, cache, cifar10_folder):
    dataset = load_dataset("cifar10")
    assert_holds(dataset, cifar10_folder)
    assert "uoft-cs/cifar10" in dataset.origin
    assert hub.requests == [
        HUB_PATH + "train-00000-of-00001.parquet",
        HUB_PATH + "test-00000-of-00001.parquet",
    ]
    assert_holds(load_dataset("cifar10"), cifar10_folder)
    assert len(hub.requests) == 2
    assert [path.name for path in cache.iterdir()] == ["cifar10-v1-network"]


def test_fedlearn_data_without_the_data_set_means_the_network(hub, tmp_path, monkeypatch, cifar10_folder):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("FEDLEARN_DATA", str(tmp_path / "elsewhere"))
    assert_holds(load_dataset("cifar10"), cifar10_folder)
    assert len(hub.requests) == 2


def test_fedlearn_data_with_the_data_set_means_no_network(hub, monkeypatch, cifar10_folder):
    monkeypatch.setenv("FEDLEARN_DATA", str(cifar10_folder.root))
    assert_holds(load_dataset("cifar10"), cifar10_folder)
    assert hub.requests == []


@pytest.mark.parametrize("trouble", ["short", "chunked", "garbage", 404, 500])
def test_without_the_hub_cifar10_comes_from_its_home(hub, toronto, cache, cifar10_folder, trouble):
    hub.trouble[HUB_PATH] = trouble
    dataset = load_dataset("cifar10")
    assert_holds(dataset, cifar10_folder)
    assert dataset.origin == "Downloaded by torchvision."
    assert hub.requests[0].startswith(HUB_PATH) and TORONTO in hub.requests
    assert [path.name for path in cache.iterdir()] == ["cifar10-v1-network"]


def test_hub_file_that_is_not_parquet_counts_as_not_reached(hub, toronto, cifar10_folder):
    hub.files[HUB_PATH + "test-00000-of-00001.parquet"] = b"<html>please log in</html>"
    assert_holds(load_dataset("cifar10"), cifar10_folder)
    assert TORONTO in hub.requests


def test_an_endpoint_that_is_no_url_counts_as_not_reached(toronto, monkeypatch, cifar10_folder):
    monkeypatch.setenv("HF_ENDPOINT", "hub.example")
    assert_holds(load_dataset("cifar10"), cifar10_folder)


def test_an_empty_endpoint_is_the_hub_itself(tmp_path, monkeypatch):
    def refuse(url, target):
        urls.append(url)
        raise OSError("no network")

    urls = []
    monkeypatch.setenv("HF_ENDPOINT", "")
    monkeypatch.setattr(sources, "download", refuse)
    with pytest.raises(OSError, match="no network"):
        sources.download_cifar10(tmp_path)
    assert urls == [f"https://huggingface.co{HUB_PATH}train-00000-of-00001.parquet"]


def test_a_cache_that_cannot_be_written_is_found_before_the_download(hub, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FEDLEARN_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="FEDLEARN_CACHE") as caught:
        load_dataset("cifar10")
    assert not isinstance(caught.value, DataUnavailableError)
    assert hub.requests == []


# When nothing can be reached -------------------------------------------------------------


@pytest.mark.parametrize("trouble", [404, 500, "short", "garbage", "chunked"])
def test_everything_failing_says_what_to_do_instead(hub, toronto, cache, trouble):
    hub.trouble["/"] = trouble
    with pytest.raises(DataUnavailableError) as caught:
        load_dataset("cifar10")
    message = str(caught.value)
    assert message.startswith("dataset 'cifar10' is neither in FEDLEARN_DATA (not set) nor in the cache (")
    assert "use dataset 'fashion'" in message and "set FEDLEARN_DATA to a folder" in message
    assert str(cache) in message and "\n" not in message
    assert list(cache.iterdir()) == []
    assert HUB_PATH + "train-00000-of-00001.parquet" in hub.requests and TORONTO in hub.requests


@pytest.mark.parametrize("trouble", [404, "short", "garbage"])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_mirror_failing_says_what_to_do_instead(mirror, cache, name, trouble):
    mirror.trouble["/t10k-images"] = trouble
    with pytest.raises(DataUnavailableError, match="use dataset 'fashion'.*FEDLEARN_DATA") as caught:
        load_dataset(name)
    assert f"dataset {name!r}" in str(caught.value) and "\n" not in str(caught.value)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("trouble", ["mute", "silent"])
def test_a_hub_that_says_nothing_is_not_waited_for(hub, toronto, impatient, cifar10_folder, trouble):
    hub.trouble[HUB_PATH] = trouble
    start = time.perf_counter()
    assert_holds(load_dataset("cifar10"), cifar10_folder)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("trouble", ["mute", "silent"])
def test_a_mirror_that_says_nothing_is_not_waited_for(mirror, impatient, cache, trouble):
    """torchvision would wait for ever."""
    mirror.trouble["/t10k-images"] = trouble
    start = time.perf_counter()
    with pytest.raises(DataUnavailableError, match="timed out"):
        load_dataset("mnist")
    assert time.perf_counter() - start < 2
    assert list(cache.iterdir()) == [] and socket.getdefaulttimeout() is None


def test_a_mirror_with_other_files_is_not_believed(mirror, cache):
    name = "/t10k-labels-idx1-ubyte.gz"
    mirror.files[name] = gzip.compress(b"of another data set")
    with pytest.raises(DataUnavailableError, match="failed \\(RuntimeError: .*: File not found or corrupted"):
        load_dataset("mnist")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_a_disk_that_is_full_while_downloading_is_called_so(hub, mirror, cache, small_disk, name):
    with small_disk(3000), pytest.raises(InputError, match="FEDLEARN_CACHE must be .* has room, got .*File too large"):
        load_dataset(name)
    assert list(cache.iterdir()) == []


def test_an_interrupted_download_leaves_nothing(hub, cache, monkeypatch):
    def interrupt(path, *args):
        assert path.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(sources, "_read_parquet_split", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_dataset("cifar10")
    assert list(cache.iterdir()) == []


# torchvision's data sets -------------------------------------------------------------------


@pytest.mark.parametrize(("name", "first_class"), [("mnist", "0"), ("fashion-mnist", "T-shirt/top")])
def test_mnist_comes_from_a_mirror_once(mirror, name, first_class):
    dataset = load_dataset(name)
    assert_is_small_mnist(dataset)
    assert dataset.class_names[0] == first_class and dataset.num_classes == 10
    asked = len(mirror.requests)
    assert asked > 0
    assert_is_small_mnist(load_dataset(name))
    assert len(mirror.requests) == asked


def test_mnist_is_not_fashion_mnist(mirror):
    """Their names end alike, and so do the names of their entries in the cache."""
    load_dataset("fashion-mnist")
    asked = len(mirror.requests)
    load_dataset("mnist")
    assert len(mirror.requests) == 2 * asked


@pytest.fixture
def local_mnist(tmp_path, monkeypatch):
    raw = tmp_path / "data" / "mnist" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in idx_files().items():
        (raw / name).write_bytes(content)
    monkeypatch.setenv("FEDLEARN_DATA", str(tmp_path / "data"))
    return raw


def test_mnist_in_torchvisions_layout(local_mnist):
    dataset = load_dataset("mnist")
    assert_is_small_mnist(dataset)
    assert "torchvision" in dataset.origin


def test_cifar10_in_torchvisions_layout(tmp_path, cifar10_batches, cifar10_folder, monkeypatch):
    folder = tmp_path / "other" / "cifar10" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name, content in cifar10_batches.items():
        (folder / name).write_bytes(content)
    monkeypatch.setenv("FEDLEARN_DATA", str(tmp_path / "other"))
    assert_holds(load_dataset("cifar10"), cifar10_folder)


@pytest.mark.parametrize(("name", "torchvisions"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
@pytest.mark.parametrize("beside", [None, "readme.txt"])
def test_fedlearn_data_may_be_torchvisions_own_folder(tmp_path, monkeypatch, name, torchvisions, beside):
    raw = tmp_path / torchvisions / "raw"
    raw.mkdir(parents=True)
    for file, content in idx_files().items():
        (raw / file).write_bytes(content)
    if beside:  # a folder of this name with nothing in it, or the same where capitals do not count
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / beside).write_text("")
    monkeypatch.setenv("FEDLEARN_DATA", str(tmp_path))
    dataset = load_dataset(name)
    assert_is_small_mnist(dataset)
    assert dataset.origin == f"Read by torchvision from {tmp_path}."


def test_fedlearn_data_may_be_torchvisions_own_folder_of_cifar10(
    tmp_path, cifar10_batches, cifar10_folder, monkeypatch
):
    folder = tmp_path / "other" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name, content in cifar10_batches.items():
        (folder / name).write_bytes(content)
    monkeypatch.setenv("FEDLEARN_DATA", str(tmp_path / "other"))
    assert_holds(load_dataset("cifar10"), cifar10_folder)


def test_a_folder_of_the_data_sets_own_name_comes_first(local_mnist, tmp_path):
    other = tmp_path / "data" / "MNIST" / "raw"
    if other.exists():
        pytest.skip("capitals do not count in names here")
    other.mkdir(parents=True)
    (other / "train-images-idx3-ubyte").write_bytes(b"not this one")
    assert_is_small_mnist(load_dataset("mnist"))


def test_packed_files_are_named_and_no_download_is_advised(local_mnist, cache):
    for path in list(local_mnist.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    with pytest.raises(InputError) as caught:
        load_dataset("mnist")
    message = str(caught.value)
    assert "stores it, unpacked, complete and undamaged, got t10k-images-idx3-ubyte.gz, " in message
    assert "download" not in message and "\n" not in message
    assert list(cache.iterdir()) == []


def test_an_archive_that_was_not_unpacked_is_named(tmp_path, monkeypatch):
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "cifar-10-python.tar.gz").write_bytes(b"")
    monkeypatch.setenv("FEDLEARN_DATA", str(tmp_path))
    with pytest.raises(InputError, match="in cifar-10-batches-py, unpacked, got '.*' with cifar-10-python.tar.gz$"):
        load_dataset("cifar10")


def test_damaged_cifar10_is_one_sentence_without_advice(tmp_path, cifar10_batches, monkeypatch):
    folder = tmp_path / "other" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name, content in cifar10_batches.items():
        (folder / name).write_bytes(content[:-1] if name == "test_batch" else content)
    monkeypatch.setenv("FEDLEARN_DATA", str(tmp_path / "other"))
    with pytest.raises(InputError, match="undamaged, got batches.meta, data_batch_1, data_batch_2, test_batch$"):
        load_dataset("cifar10")


SPOILED = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"garbage" * 100),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "of the wrong type": lambda path: path.write_bytes(struct.pack(">4i", 0x0D03, 1, 1, 1) + b"\0" * 4),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_damaged_mnist_is_one_sentence(local_mnist, cache, spoil):
    spoil(local_mnist / "t10k-images-idx3-ubyte")
    with pytest.raises(InputError) as caught:
        load_dataset("mnist")
    message = str(caught.value)
    assert str(local_mnist.parent.parent) in message and "mnist as torchvision stores it" in message
    assert "\n" not in message
    assert list(cache.iterdir()) == []


# The embedded images where the package's file is not at hand -----------------------------------


EMBEDDED = sources.read_embedded()


@pytest.fixture
def no_embedded_file(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "EMBEDDED", tmp_path / "missing.npz")


@pytest.fixture
def fashion_mirror(stand_in, no_embedded_file, monkeypatch):
    """Serve the embedded images, followed by a few others, as Fashion-MNIST's home does."""
    packed = {}
    for split, images, labels in (
        ("train", EMBEDDED.train_images, EMBEDDED.train_labels),
        ("t10k", EMBEDDED.test_images, EMBEDDED.test_labels),
    ):
        content = np.concatenate([images, images[:50]]).tobytes()
        packed[f"{split}-images-idx3-ubyte.gz"] = struct.pack(">4i", 2051, len(images) + 50, 28, 28) + content
        content = np.concatenate([labels, labels[:50]]).astype(np.uint8).tobytes()
        packed[f"{split}-labels-idx1-ubyte.gz"] = struct.pack(">2i", 2049, len(labels) + 50) + content
    packed = {name: gzip.compress(content, compresslevel=1) for name, content in packed.items()}
    stand_in.files |= {f"/{name}": content for name, content in packed.items()}
    reader = torchvision.datasets.FashionMNIST
    monkeypatch.setattr(reader, "mirrors", [stand_in.url + "/"])
    monkeypatch.setattr(reader, "resources", [(name, md5(content)) for name, content in packed.items()])
    return stand_in


def test_without_the_embedded_file_the_same_images_are_downloaded_once(fashion_mirror):
    dataset = load_dataset("fashion")
    assert_holds(dataset, EMBEDDED)
    assert dataset.class_names == EMBEDDED.class_names
    assert dataset.origin == "The first images of Fashion-MNIST (Zalando, MIT licence). Downloaded by torchvision."
    asked = len(fashion_mirror.requests)
    assert asked >= 4
    assert_holds(load_dataset("fashion"), EMBEDDED)
    assert len(fashion_mirror.requests) == asked


def test_other_images_are_not_taken_for_the_embedded_ones(mirror, no_embedded_file):
    with pytest.raises(
        InputError, match="fashion-mnist must begin with the images of SHA-256 40840173.*, got [0-9a-f]"
    ):
        load_dataset("fashion")


def test_embedded_images_have_the_hash_that_a_download_must_have():
    embedded = sources.read_embedded()
    assert sources.cut_fashion(embedded).train_images.shape == (10_000, 1, 28, 28)
    embedded.train_labels[0] += 1
    with pytest.raises(InputError, match="SHA-256"):
        sources.cut_fashion(embedded)


def test_without_file_and_network_the_message_does_not_advise_what_cannot_work(cache, no_embedded_file):
    with pytest.raises(DataUnavailableError) as caught:
        load_dataset("fashion")
    message = str(caught.value)
    assert message.startswith(
        "dataset 'fashion' is cut from Fashion-MNIST here, and dataset 'fashion-mnist' is neither"
    )
    assert "use dataset 'fashion'" not in message and "\n" not in message
    assert message.endswith(
        "set FEDLEARN_DATA to a folder that holds fashion-mnist (torchvision's files in FashionMNIST/raw, unpacked)"
    )
    assert list(cache.iterdir()) == []


# The download itself -----------------------------------------------------------------------


def test_download_writes_every_byte(stand_in, tmp_path):
    content = np.random.default_rng(0).bytes(700_000)
    stand_in.files["/file"] = content
    download(stand_in.url + "/file", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ("mute", "timed out"),
        ("short", "announced 1000 bytes and sent 500"),
        (404, "404"),
        (500, "500"),
        ("garbage", "BadStatusLine"),
        ("chunked", "IncompleteRead"),
        ("silent", "timed out"),
    ],
)
def test_failed_download_keeps_the_old_file(stand_in, tmp_path, impatient, trouble, says):
    (tmp_path / "file").write_text("old")
    stand_in.files["/file"] = b"x" * 1000
    stand_in.trouble["/file"] = trouble
    with pytest.raises(OSError, match=says):
        download(stand_in.url + "/file", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_refused_connection_and_bad_url_are_os_errors(tmp_path):
    for url in (NOWHERE + "/file", "no-url-at-all", "http://127.0.0.1:9/with a space"):
        with pytest.raises(OSError):
            download(url, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []

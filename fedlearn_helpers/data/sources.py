"""Decoders of known data sets: parquet files in the Hub's layout, and torchvision's own layouts.

torchvision and pyarrow are imported where they are used: the embedded data set needs neither.
"""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from fedlearn_helpers.data.cache import Decoded
from fedlearn_helpers.data.download import download, give_up_on_silence
from fedlearn_helpers.data.pixels import to_rgb
from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.progress import Progress

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FASHION_CLASSES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
DIGITS = tuple("0123456789")

EMBEDDED = Path(__file__).parent / "embedded" / "fashion_mnist_12k.npz"
_FASHION_COUNTS = (10_000, 2_000)
_FASHION_SHA256 = "4084017359325b0b158fe7759bc20781f98a81c5bd2d091c099af840dbce1625"
_HUB_FILES = ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet")
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # all that Pillow raises for bad files
_TORCHVISION = {
    "cifar10": ("CIFAR10", CIFAR10_CLASSES, "cifar-10-batches-py"),
    "fashion-mnist": ("FashionMNIST", FASHION_CLASSES, "FashionMNIST/raw"),
    "mnist": ("MNIST", DIGITS, "MNIST/raw"),
}


def read_embedded() -> Decoded | None:
    """Return the 10,000 + 2,000 Fashion-MNIST images that come with the package, or None where they do not."""
    if not EMBEDDED.is_file():
        return None
    with np.load(EMBEDDED) as file:
        images, labels = file["x"], file["y"].astype(np.int64)
    train = _FASHION_COUNTS[0]
    return Decoded(
        images[:train],
        labels[:train],
        images[train:],
        labels[train:],
        FASHION_CLASSES,
        "The first images of Fashion-MNIST (Zalando, MIT licence), embedded in the package.",
    )


def cut_fashion(whole: Decoded) -> Decoded:
    """Return the images that are embedded in the package, cut from the whole of Fashion-MNIST.

    Raises:
        InputError: they are not the same.
    """
    train, test = _FASHION_COUNTS
    arrays = (
        whole.train_images[:train],
        whole.train_labels[:train],
        whole.test_images[:test],
        whole.test_labels[:test],
    )
    digest = fashion_sha256(*arrays)
    if digest != _FASHION_SHA256:
        raise InputError(f"fashion-mnist must begin with the images of SHA-256 {_FASHION_SHA256}, got {digest}")
    origin = f"The first images of Fashion-MNIST (Zalando, MIT licence). {whole.origin}"
    return Decoded(*arrays, FASHION_CLASSES, origin)


def fashion_sha256(*arrays: np.ndarray) -> str:
    """Return one hash of images and labels, taken as bytes."""
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(np.ascontiguousarray(array, dtype=np.uint8).data)
    return hashed.hexdigest()


def find_parquet(folder: Path) -> list[Path]:
    """Return the train and the test file of CIFAR-10 in the Hub's layout below `folder`, or nothing."""
    patterns = (Path(name).stem + "*.parquet" for name in _HUB_FILES)  # older copies have a hash behind the number
    found = [sorted(folder.rglob(pattern))[:1] for pattern in patterns]
    return [path for paths in found for path in paths] if all(found) else []


def read_parquet(train_file: Path, test_file: Path, origin: str) -> Decoded:
    """Decode CIFAR-10 from parquet files with the columns `img` {bytes, path} and `label`.

    Raises:
        InputError: a file that is not parquet, lacks the columns, or holds an image that cannot be read.
    """
    splits = [_read_parquet_split(path) for path in (train_file, test_file)]
    (train_images, train_labels), (test_images, test_labels) = splits
    return Decoded(train_images, train_labels, test_images, test_labels, CIFAR10_CLASSES, origin)


def _read_parquet_split(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path, columns=["img", "label"])
        encoded = table["img"].combine_chunks().field("bytes")
        labels = table["label"].to_numpy().astype(np.int64)
        images = np.empty((len(labels), 3, 32, 32), dtype=np.uint8)
        with Progress(len(labels), f"Decoding {path.name}") as bar:
            for row, image in enumerate(encoded):
                pixels = to_rgb(Image.open(io.BytesIO(image.as_py())))
                images[row] = np.asarray(pixels).transpose(2, 0, 1)
                bar.update(row + 1)
    except (pyarrow.ArrowException, AttributeError, KeyError, TypeError, *_UNREADABLE) as error:
        raise InputError(
            f"{path} must be a parquet file of 32x32 images with img and label, got {one_line(error)}"
        ) from None
    return images, labels


def download_cifar10(scratch: Path) -> Decoded:
    """Fetch CIFAR-10 from the Hugging Face Hub (`$HF_ENDPOINT` names a mirror) and decode it."""
    endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    for name in _HUB_FILES:
        download(f"{endpoint}/datasets/uoft-cs/cifar10/resolve/main/plain_text/{name}", scratch / name)
    train, test = (scratch / name for name in _HUB_FILES)
    return read_parquet(train, test, "Downloaded from the Hub data set uoft-cs/cifar10.")


def layouts(name: str) -> str:
    """Say which files of data set `name` can be read from a folder."""
    torchvisions = f"torchvision's files in {_TORCHVISION[name][2]}, unpacked"
    return f"the Hub's parquet files or {torchvisions}" if name == "cifar10" else torchvisions


def torchvision_files(name: str, folder: Path) -> list[Path]:
    """Return the files of data set `name` in torchvision's layout below `folder`, or nothing."""
    return [path for path in (folder / _TORCHVISION[name][2]).glob("*") if path.is_file()]


def read_torchvision(name: str, root: Path, *, fetch: bool) -> Decoded:
    """Read data set `name` with torchvision from `root`; `fetch` downloads it there first.

    Raises:
        RuntimeError or OSError: torchvision's own errors, when files are missing or a download fails.
    """
    from torchvision import datasets

    reader_name, class_names, _ = _TORCHVISION[name]
    reader = getattr(datasets, reader_name)
    arrays: list[np.ndarray] = []
    for train in (True, False):
        with give_up_on_silence():
            split = reader(str(root), train=train, download=fetch)
        images = np.asarray(split.data)
        images = images.transpose(0, 3, 1, 2) if images.ndim == 4 else images[:, None]
        arrays += [np.ascontiguousarray(images), np.asarray(split.targets, dtype=np.int64)]
    origin = "Downloaded by torchvision." if fetch else f"Read by torchvision from {root}."
    train_images, train_labels, test_images, test_labels = arrays
    return Decoded(train_images, train_labels, test_images, test_labels, class_names, origin)

"""Decoders: parquet files in the Hub's layout, torchvision's own layouts, and folders of images.

torchvision and pyarrow are imported where they are used: the embedded data set needs neither.
"""

import hashlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from fedlearn_helpers.data.cache import Decoded
from fedlearn_helpers.data.download import download
from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.progress import Progress

if TYPE_CHECKING:
    from torchvision.datasets import ImageFolder

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
_FOLDER_IMAGE_SIDE = 32
_FOLDER_TEST_SHARE = 0.2
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
                pixels = Image.open(io.BytesIO(image.as_py())).convert("RGB")
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
        split = reader(str(root), train=train, download=fetch)
        images = np.asarray(split.data)
        images = images.transpose(0, 3, 1, 2) if images.ndim == 4 else images[:, None]
        arrays += [np.ascontiguousarray(images), np.asarray(split.targets, dtype=np.int64)]
    origin = "Downloaded by torchvision." if fetch else f"Read by torchvision from {root}."
    train_images, train_labels, test_images, test_labels = arrays
    return Decoded(train_images, train_labels, test_images, test_labels, class_names, origin)


def folder_files(folder: Path) -> list[Path]:
    """Return every image file below `folder`.

    Raises:
        InputError: there is none.
    """
    from torchvision.datasets.folder import IMG_EXTENSIONS

    files = [path for path in folder.rglob("*") if path.suffix.lower() in IMG_EXTENSIONS and path.is_file()]
    if not files:
        raise InputError(
            "dataset must be a folder with one sub-folder of images per class "
            f"(or train/ and test/ with such sub-folders), got {str(folder)!r}, which has no images"
        )
    return files


def read_folder(folder: Path) -> Decoded:
    """Decode a folder of images in torchvision's ImageFolder layout.

    The layout is `folder/class/image.png`, of which a fifth of each class, drawn at random, becomes the
    test set, or `folder/train/class/image.png` with `folder/test/class/image.png`. Images become RGB, are
    cropped to a square around their centre and scaled to 32 x 32 pixels.

    Raises:
        InputError: no images, fewer than two classes, classes that differ between train and test,
            or an image that cannot be read.
    """
    given_split = (folder / "train").is_dir() and (folder / "test").is_dir()
    listings = [_list_images(folder / part) for part in (("train", "test") if given_split else ("",))]
    class_names = listings[0].classes
    if len(class_names) < 2:
        raise InputError(f"dataset must have images of at least 2 classes, got {class_names} in {str(folder)!r}")
    if given_split and listings[1].classes != class_names:
        raise InputError(
            f"dataset must have the same classes in train and test, got {class_names} and {listings[1].classes}"
        )
    if given_split:
        train, test = (listing.samples for listing in listings)
        origin = f"Images of {folder}"
    else:
        train, test = _hold_out(listings[0].samples, len(class_names))
        origin = f"Images of {folder}, a fifth of each class kept for testing"
    side = _FOLDER_IMAGE_SIDE
    return Decoded(
        *_read_images(train),
        *_read_images(test),
        tuple(class_names),
        f"{origin}; centre-cropped and scaled to {side} x {side} pixels, RGB.",
    )


def _list_images(folder: Path) -> "ImageFolder":
    from torchvision.datasets import ImageFolder

    try:
        return ImageFolder(str(folder))
    except FileNotFoundError as error:
        raise InputError(
            f"dataset must have images in every class folder, got {str(folder)!r}: {str(error).splitlines()[0]}"
        ) from None


def _hold_out(samples: list[tuple[str, int]], num_classes: int) -> tuple[list, list]:
    train, test = [], []
    for label in range(num_classes):
        of_class = [sample for sample in samples if sample[1] == label]
        held_out = round(len(of_class) * _FOLDER_TEST_SHARE) or len(of_class) // 2
        order = np.random.default_rng(label).permutation(len(of_class))
        test += [of_class[i] for i in sorted(order[:held_out])]
        train += [of_class[i] for i in sorted(order[held_out:])]
    if not test:
        raise InputError("dataset must have at least 2 images in some class, to keep one for testing")
    return train, test


def _read_images(samples: list[tuple[str, int]]) -> tuple[np.ndarray, np.ndarray]:
    side = _FOLDER_IMAGE_SIDE
    images = np.empty((len(samples), 3, side, side), dtype=np.uint8)
    with Progress(len(samples), "Reading images") as bar:
        for row, (path, _) in enumerate(samples):
            try:
                with Image.open(path) as image:
                    pixels = ImageOps.fit(image.convert("RGB"), (side, side))
            except _UNREADABLE as error:
                raise InputError(f"dataset has an image that cannot be read: {path} ({one_line(error)})") from None
            images[row] = np.asarray(pixels).transpose(2, 0, 1)
            bar.update(row + 1)
    return images, np.array([label for _, label in samples], dtype=np.int64)

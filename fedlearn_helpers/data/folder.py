"""Folders of one's own images: which files are examples of which class, and what is left out."""

import os
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from fedlearn_helpers.data.cache import Decoded, files_key
from fedlearn_helpers.data.pixels import to_rgb
from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.progress import Progress

_SIDE = 32
_TEST_SHARE = 0.2
_RULES = 2  # of how files become examples: part of the cache's key, so raise it when they change
_LAYOUT = "a folder with one sub-folder of images per class (or train/ and test/ with such sub-folders)"
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
# What systems put into folders; names with a dot in front are left out, too.
_SYSTEM = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "thumbs.db", "ehthumbs.db", "desktop.ini"}
# What Pillow knows by its ending and cannot read by itself, or what is no image.
_NOT_READ = {"BUFR", "EPS", "FPX", "GRIB", "HDF5", "IPTC", "MIC", "MPEG", "PALM", "PDF", "WMF"}


@dataclass(frozen=True)
class Listing:
    """What there is in a folder of images.

    Attributes:
        class_names: sorted.
        train, test: (file, label) of each image.
        origin: where they are, how they were chosen, and what is not used.
    """

    class_names: tuple[str, ...]
    train: list[tuple[Path, int]]
    test: list[tuple[Path, int]]
    origin: str

    @property
    def key(self) -> str:
        """Changes with every file, also behind links, and with what is used."""
        return files_key([path for path, _ in self.train + self.test], self.origin, _RULES)


@dataclass(frozen=True)
class _Tree:
    """A folder without what is hidden: its folders by name, its images, and how many other files of each kind."""

    path: Path
    folders: dict[str, "_Tree"]
    images: list[Path]
    others: Counter[str]

    def all_images(self) -> list[Path]:
        below = [path for folder in self.folders.values() for path in folder.all_images()]
        return sorted(self.images + below, key=lambda path: (str(path.parent), path.name))

    def all_others(self) -> Counter[str]:
        return sum((folder.all_others() for folder in self.folders.values()), self.others)


def list_images(folder: Path) -> Listing:
    """Find the images of each class, and those to test on.

    The layout is `folder/class/image.png`, of which a fifth of each class, drawn at random, becomes the test set; or
    `folder/train/class/image.png` with `folder/test/class/image.png`. Other usual names of these are understood. Where
    there is no test folder, one for validation takes its place, or else a fifth of each class in `train`.

    Raises:
        InputError: another layout, fewer than two classes, classes that differ between train and test, or a link
            that leads nowhere or in a circle.
    """
    tree = _read_tree(folder, ())
    if not tree.all_images():
        raise InputError(f"dataset must be {_LAYOUT}, got {_shown(folder)!r}, which has no images{_with(tree)}")
    splits = _find_splits(tree)
    train, test = splits.get("train", tree), splits.get("test") or splits.get("validation")
    classes = _classes(train)
    names = tuple(sorted(classes))
    if len(names) < 2:
        raise InputError(f"dataset must have images of at least 2 classes, got {list(names)} in {_shown(train.path)!r}")
    samples = [(path, label) for label, name in enumerate(names) for path in classes[name]]
    if test is None:
        samples, held_out = _hold_out(samples, len(names))
        origin = f"Images of {_shown(train.path)}, a fifth of each class kept for testing"
    else:
        to_test = _classes(test)
        if set(to_test) != set(names):
            raise InputError(
                f"dataset must have the same classes in {train.path.name} and {test.path.name}, "
                f"got {list(names)} and {sorted(to_test)}"
            )
        held_out = [(path, label) for label, name in enumerate(names) for path in to_test[name]]
        origin = f"Images of {_shown(folder)}"
        if "test" not in splits:
            origin += f", {test.path.name!r} taken as the test set"
    origin += f"; centre-cropped and scaled to {_SIDE} x {_SIDE} pixels, RGB.{_unused(tree, train, test)}"
    return Listing(names, samples, held_out, origin)


def _unused(tree: _Tree, train: _Tree, test: _Tree | None) -> str:
    """Say what is in a folder and is no example; nothing where all is."""
    used = [part for part in (train, test) if part is not None]
    unused: list[str] = []
    if train is not tree:
        left_out = (part for part in tree.folders.values() if part not in used)
        unused += [f"the folder {part.path.name!r} (images: {len(part.all_images())})" for part in left_out]
        used.append(_Tree(tree.path, {}, tree.images, tree.others))
    if outside := sum(len(part.images) for part in used):
        unused.append(f"images outside of class folders ({outside})")
    if others := sum((part.all_others() for part in used), Counter[str]()):
        unused.append(f"files that are read as no images ({_kinds(others)})")
    return f" Not used: {', '.join(unused)}." if unused else ""


def read_images(listing: Listing) -> Decoded:
    """Decode images: RGB, cropped to a square around their centre, scaled to 32 x 32 pixels.

    Raises:
        InputError: an image that cannot be read.
    """
    return Decoded(*_read(listing.train), *_read(listing.test), listing.class_names, listing.origin)


def _read(samples: list[tuple[Path, int]]) -> tuple[np.ndarray, np.ndarray]:
    images = np.empty((len(samples), 3, _SIDE, _SIDE), dtype=np.uint8)
    with Progress(len(samples), "Reading images") as bar:
        for row, (path, _) in enumerate(samples):
            try:
                with Image.open(path) as image:
                    pixels = ImageOps.fit(to_rgb(image), (_SIDE, _SIDE))
            except Exception as error:  # Pillow's readers raise anything where a file is damaged
                reason = str(error) if isinstance(error, InputError) else one_line(error)
                raise InputError(f"dataset has an image that cannot be read: {_shown(path)} ({reason})") from None
            images[row] = np.asarray(pixels).transpose(2, 0, 1)
            bar.update(row + 1)
    return images, np.array([label for _, label in samples], dtype=np.int64)


def _read_tree(folder: Path, above: tuple[tuple[int, int], ...]) -> _Tree:
    """Read a folder and all below it, through links; `above` are the folders around it, by device and number."""
    try:
        status, names = folder.stat(), sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"dataset has a folder that cannot be read: {_shown(folder)} ({error.strerror})") from None
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise InputError(f"dataset has a link that leads in a circle: {_shown(folder)}")
    tree = _Tree(folder, {}, [], Counter())
    for name in names:
        path = folder / name
        if name.startswith(".") or name.casefold() in _SYSTEM:
            continue
        if os.path.isdir(path):
            tree.folders[name] = _read_tree(path, (*above, here))
        elif not os.path.exists(path):
            raise InputError(f"dataset has a link that leads nowhere: {_shown(path)}")
        elif os.path.isfile(path) and path.suffix.lower() in _readable_endings():
            tree.images.append(path)
        else:
            tree.others[_shown(Path(path.suffix.lower())) if path.suffix else "without an ending"] += 1
    return tree


@cache
def _readable_endings() -> frozenset[str]:
    return frozenset(ending for ending, kind in Image.registered_extensions().items() if kind not in _NOT_READ)


def _find_splits(tree: _Tree) -> dict[str, _Tree]:
    """Return the folders of a split by what they are for; none where the folders are classes.

    A class may be called "train", too: it holds images, and a part of a split holds folders.
    """
    named = [part for name, part in tree.folders.items() if name.casefold() in _SPLITS]
    all_named = len(named) == len(tree.folders)
    names = ", ".join(repr(part.path.name) for part in named)
    if not any(part.folders and (all_named or not part.images) for part in named):
        if named and all_named:
            raise InputError(f"dataset must be {_LAYOUT}, got {_shown(tree.path)!r} with no folders in {names}")
        return {}
    roles = [_SPLITS[part.path.name.casefold()] for part in named]
    if len(set(roles)) < len(roles):
        raise InputError(f"dataset must have one folder each to train, validate and test, got {names}")
    if "train" not in roles:
        raise InputError(f"dataset must have a folder 'train' to learn from, got {names} in {_shown(tree.path)!r}")
    return dict(zip(roles, named, strict=True))


def _classes(tree: _Tree) -> dict[str, list[Path]]:
    """Return the images in every folder by its name; one that holds only folders is no class."""
    classes: dict[str, list[Path]] = {}
    for name, folder in tree.folders.items():
        where = repr(_shown(folder.path))
        if not folder.images and folder.folders:
            inside = ", ".join(_shown(Path(name)) for name in list(folder.folders)[:3])
            raise InputError(f"dataset must be {_LAYOUT}, got {where}, which holds folders ({inside}) and no images")
        if not folder.images:
            raise InputError(f"dataset must have images in every class folder, got {where} with none{_with(folder)}")
        if _shown(Path(name)) != name:
            raise InputError(f"dataset must have names of classes in UTF-8, got {where}; rename the folder")
        classes.setdefault(unicodedata.normalize("NFC", name), []).extend(folder.all_images())
    if not classes:
        raise InputError(f"dataset must be {_LAYOUT}, got {_shown(tree.path)!r}, which has no folders")
    return classes


def _hold_out(samples: list[tuple[Path, int]], num_classes: int) -> tuple[list, list]:
    train, test = [], []
    for label in range(num_classes):
        of_class = [sample for sample in samples if sample[1] == label]
        held_out = round(len(of_class) * _TEST_SHARE) or len(of_class) // 2
        order = np.random.default_rng(label).permutation(len(of_class))
        test += [of_class[i] for i in sorted(order[:held_out])]
        train += [of_class[i] for i in sorted(order[held_out:])]
    if not test:
        raise InputError("dataset must have at least 2 images in some class, to keep one for testing")
    return train, test


def _kinds(others: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in others.most_common())


def _with(tree: _Tree) -> str:
    return f" but {_kinds(tree.all_others())}" if tree.all_others() else ""


def _shown(path: Path) -> str:
    r"""Return a path as text that can be printed: bytes that are not UTF-8 become, say, \xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")

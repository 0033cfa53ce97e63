"""`load_dataset`: one name, one data set, wherever it has to come from.

Looked for in this order: `$FEDLEARN_DATA/<name>`, the cache, the network. The embedded data set
needs none of them, unless its file is not here, as in a notebook that brings the package along.
"""

import errno
import http.client
import os
from collections.abc import Callable
from pathlib import Path

import torch

from fedlearn_helpers.data import sources
from fedlearn_helpers.data.cache import Decoded, cache_folder, cached, files_key, read_entry, unwritable
from fedlearn_helpers.data.dataset import ImageDataset
from fedlearn_helpers.data.folder import list_images, read_images
from fedlearn_helpers.errors import DataUnavailableError, InputError, one_line

KNOWN_DATASETS = ("fashion", "cifar10", "fashion-mnist", "mnist")
_FROM_NETWORK = "network"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def load_dataset(name: str) -> ImageDataset:
    """Return an image data set.

    Args:
        name: "fashion" (10,000 + 2,000 images of Fashion-MNIST, embedded: no network; where the embedded file
            is missing they are cut from "fashion-mnist"), "cifar10", "fashion-mnist" or "mnist" (downloaded
            once, then cached), or the path of a folder with one sub-folder of images per class.

    Raises:
        InputError: an unknown name, a folder without usable images, or files that cannot be read.
        DataUnavailableError: not on this machine, and the network does not give it.
    """
    if name == "fashion":
        decoded = sources.read_embedded() or _cut_fashion()
    elif name in KNOWN_DATASETS:
        decoded = _load_named(name)
    elif isinstance(name, str | Path) and name and os.path.isdir(os.path.expanduser(name)):
        listing = list_images(Path(os.path.expanduser(name)))
        decoded = cached("folder", listing.key, lambda scratch: read_images(listing))
    else:
        known = ", ".join(repr(known) for known in KNOWN_DATASETS)
        raise InputError(f"dataset must be {known} or the path of a folder of images, got {name!r}")
    return ImageDataset(
        name,
        torch.from_numpy(decoded.train_images),
        torch.from_numpy(decoded.train_labels),
        torch.from_numpy(decoded.test_images),
        torch.from_numpy(decoded.test_labels),
        decoded.class_names,
        decoded.origin,
    )


def _cut_fashion() -> Decoded:
    try:
        return sources.cut_fashion(_load_named("fashion-mnist"))
    except DataUnavailableError as error:
        raise DataUnavailableError(f"dataset 'fashion' is cut from Fashion-MNIST here, and {error}") from None


def _load_named(name: str) -> Decoded:
    if (local := local_folder(name)) is not None:
        return _load_local(name, local)
    return read_entry(name) or _fetch(name)


def local_folder(name: str) -> Path | None:
    """Return `$FEDLEARN_DATA/<name>` where it exists, or FEDLEARN_DATA itself where torchvision has put the data set.

    Raises:
        InputError: FEDLEARN_DATA is no folder.
    """
    if name == "fashion" or not (root := os.environ.get("FEDLEARN_DATA")):
        return None
    if not os.path.isdir(os.path.expanduser(root)):
        raise InputError(f"FEDLEARN_DATA must be an existing folder, got {root!r}")
    whole = Path(os.path.expanduser(root))
    folder = whole / name  # where capitals do not count in names, this may be torchvision's MNIST
    if sources.torchvision_files(name, whole) and not _files(name, folder):
        return whole
    return folder if folder.is_dir() else None


def _parquet(name: str, folder: Path) -> list[Path]:
    return sources.find_parquet(folder) if name == "cifar10" else []


def _files(name: str, folder: Path) -> list[Path]:
    return _parquet(name, folder) or sources.torchvision_files(name, folder)


def _load_local(name: str, folder: Path) -> Decoded:
    if files := _parquet(name, folder):
        train, test = files
        return cached(name, files_key(files), lambda scratch: sources.read_parquet(train, test, f"Read from {folder}."))
    if files := sources.torchvision_files(name, folder):
        try:
            return cached(name, files_key(files), lambda scratch: sources.read_torchvision(name, folder, fetch=False))
        except InputError:
            raise
        except (RuntimeError, OSError, ValueError, TypeError, KeyError, AssertionError) as error:
            # torchvision's RuntimeError advises to download, which the reader of this message cannot do.
            reason = "" if isinstance(error, RuntimeError) else f" ({one_line(error)})"
            raise InputError(
                f"{folder} must hold {name} as torchvision stores it, "
                f"unpacked, complete and undamaged, got {_names(files)}{reason}"
            ) from None
    found = _names([path for path in folder.rglob("*") if path.is_file()])
    raise InputError(f"FEDLEARN_DATA must hold {name} as {sources.layouts(name)}, got {str(folder)!r} with {found}")


def _names(files: list[Path]) -> str:
    return ", ".join(sorted(path.name for path in files)[:8]) or "no files"  # as many as MNIST has, packed and not


def _fetch(name: str) -> Decoded:
    """Download `name`: CIFAR-10 from the Hub first, which is faster than its home by far."""
    attempts: list[Callable[[Path], Decoded]] = [
        lambda scratch: sources.read_torchvision(name, scratch, fetch=True),
    ]
    if name == "cifar10":
        attempts.insert(0, sources.download_cifar10)
    reasons = []
    for attempt in attempts:
        try:
            return cached(name, _FROM_NETWORK, _only_network_errors(attempt))
        except _NotReached as error:
            reasons.append(str(error))
    embedded = "use dataset 'fashion', which needs no network, or " if sources.EMBEDDED.is_file() else ""
    raise DataUnavailableError(
        f"dataset {name!r} is neither in FEDLEARN_DATA ({os.environ.get('FEDLEARN_DATA') or 'not set'}) nor in the "
        f"cache ({cache_folder()}), and downloading it failed ({'; '.join(reasons)}); "
        f"{embedded}set FEDLEARN_DATA to a folder that holds {name} ({sources.layouts(name)})"
    )


class _NotReached(Exception):
    """A download that did not give the data set."""


def _only_network_errors(attempt: Callable[[Path], Decoded]) -> Callable[[Path], Decoded]:
    """Turn what can go wrong in a download into `_NotReached`, apart from errors of the cache itself."""

    def build(scratch: Path) -> Decoded:
        try:
            return attempt(scratch)
        except (OSError, RuntimeError, ValueError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                raise unwritable(error) from None
            raise _NotReached(one_line(error)) from None

    return build

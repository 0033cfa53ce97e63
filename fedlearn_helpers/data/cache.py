"""Decoded data sets on disk: memory-mapped, written atomically, checked before use.

An entry is a folder with one `.npy` file per array and a `manifest.json` that holds their sizes
and SHA-256 hashes. It appears under its final name only when it is complete.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedlearn_helpers.errors import InputError

_MANIFEST = "manifest.json"
_UNFINISHED = ".unfinished-"
_SECONDS_UNTIL_ABANDONED = 24 * 3600
FORMAT = 1  # part of every key: a new format never reads an old entry


@dataclass(frozen=True)
class Decoded:
    """Arrays of a data set, and the facts that go with them.

    Attributes:
        train_images: (N, channels, height, width) uint8.
        train_labels: (N,) int64.
        test_images: (M, channels, height, width) uint8.
        test_labels: (M,) int64.
        class_names: one name per label.
        origin: where the pixels came from.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    origin: str


_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


def cache_folder() -> Path:
    """Return `$FEDLEARN_CACHE`, or `fedlearn` in the user's cache folder.

    Raises:
        InputError: it would be in the home folder of a user who has none.
    """
    try:
        if folder := os.environ.get("FEDLEARN_CACHE"):
            return Path(folder).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fedlearn"
    except RuntimeError:
        got = repr(folder) if folder else "nothing"
        raise InputError(
            f"FEDLEARN_CACHE must be the whole path of a folder, since this user has no home folder, got {got}"
        ) from None


def files_key(files: list[Path], *facts: object) -> str:
    """Return a key that changes when a file is added, moved, replaced or written to, and with the facts."""
    found = [
        (str(path), str(path.resolve()), (stat := path.stat()).st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        for path in sorted(files)
    ]
    return hashlib.sha256(repr((found, *facts)).encode()).hexdigest()[:16]


def read_entry(name: str, key: str | None = None) -> Decoded | None:
    """Return the cached data set, or None when it is missing or damaged (a damaged one is removed).

    Args:
        name: the data set.
        key: which version of it; None takes any, newest first.
    """
    pattern = f"{name}-v{FORMAT}-{key or '*'}"
    for entry in sorted(cache_folder().glob(pattern), key=_written_at, reverse=True):
        if (decoded := read_intact(entry)) is not None:
            return decoded
        print(f"The cached copy in {entry} is damaged; it is removed and built anew.")
        shutil.rmtree(entry, ignore_errors=True)
    return None


def cached(name: str, key: str, build: Callable[[Path], Decoded]) -> Decoded:
    """Return the cached data set; build and store it first where it is missing or damaged.

    Args:
        name: the data set.
        key: which version of it.
        build: decodes the data set; gets an empty folder for temporary files, removed afterwards.

    Raises:
        InputError: the cache folder cannot be written.
    """
    if (decoded := read_entry(name, key)) is not None:
        return decoded
    with _unfinished_folder() as unfinished:
        scratch = unfinished / "scratch"
        scratch.mkdir()
        decoded = build(scratch)
        shutil.rmtree(scratch)
        try:
            _write(unfinished, decoded)
            _publish(unfinished, cache_folder() / f"{name}-v{FORMAT}-{key}")
        except OSError as error:
            raise unwritable(error) from None
    return read_entry(name, key) or decoded


def read_intact(entry: Path) -> Decoded | None:
    """Return what a folder of the cache holds, or None unless every byte is as it was written."""
    try:
        manifest = json.loads((entry / _MANIFEST).read_text())
        if _seal(manifest) != manifest.get("sha256", _seal(manifest)):  # entries of version 0.1.0 have none
            return None
        for name in _ARRAYS:
            path, expected = entry / f"{name}.npy", manifest["files"][f"{name}.npy"]
            if path.stat().st_size != expected["size"] or _sha256(path) != expected["sha256"]:
                return None
        # Mode "c" maps the file privately: processes share its pages, and nobody can write to the file.
        arrays = {name: np.load(entry / f"{name}.npy", mmap_mode="c") for name in _ARRAYS}
        return Decoded(**arrays, class_names=tuple(manifest["class_names"]), origin=manifest["origin"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # the last two: JSON, but not of this shape
        return None


def _write(folder: Path, decoded: Decoded) -> None:
    files = {}
    for name in _ARRAYS:
        path = folder / f"{name}.npy"
        np.save(path, getattr(decoded, name))
        files[path.name] = {"size": path.stat().st_size, "sha256": _sha256(path)}
    manifest = {"files": files, "class_names": decoded.class_names, "origin": decoded.origin}
    manifest["sha256"] = _seal(manifest)
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1))
    folder.chmod(0o755)  # temporary folders are private; a class may share a cache


def _publish(folder: Path, entry: Path) -> None:
    try:
        folder.rename(entry)
    except OSError:
        if not entry.exists():  # otherwise another process was faster, and its entry is as good
            raise


def _seal(manifest: dict) -> str:
    """Return the hash of all that a manifest says, but for the hash itself."""
    content = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _written_at(path: Path) -> float:
    """Return when a path was last written to; 0 where another process has just renamed or removed it."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _unfinished_folder() -> Iterator[Path]:
    """Yield a new folder beside the entries; whatever is still in it at the end goes away."""
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        for old in cache_folder().glob(f"{_UNFINISHED}*"):  # left by a process that was killed
            if time.time() - _written_at(old) > _SECONDS_UNTIL_ABANDONED:
                shutil.rmtree(old, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=cache_folder()))
    except OSError as error:
        raise unwritable(error) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unwritable(error: OSError) -> InputError:
    """Return the sentence for a cache folder into which a file cannot be written."""
    return InputError(
        f"FEDLEARN_CACHE must be a folder that can be written and has room, got {str(cache_folder())!r} "
        f"({error.strerror or error})"
    )

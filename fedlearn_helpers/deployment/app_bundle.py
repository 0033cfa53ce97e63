"""A Flower app as one file, to be read before it runs: what is in it, and the hash by which Flower knows it.

`flwr run` packs an app into a bundle, a .fab, and its SHA-256 travels with the run. The bundle is a zip archive with
sorted names and a fixed date, so the same files give the same bytes wherever Python compresses alike. Another version
of zlib may compress otherwise: so a bundle is handed over as a file, and not built anew from its parts.

The hash covers the files of the app. It does not cover the packages that they import, which every machine has of its
own, nor the run-config, which comes with the run.
"""

import difflib
import hashlib
import io
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from flwr.cli.build import build_fab_from_disk

from fedlearn_helpers.errors import InputError

_CONTENTS, _CONFIG = ".info/CONTENT", "pyproject.toml"
_MOST_BYTES = 50_000_000  # of all files, unpacked


@dataclass(frozen=True)
class AppBundle:
    """A Flower app as it travels.

    Attributes:
        content: the bytes of the .fab.
        hash: their SHA-256, 64 hexadecimal digits.
        files: what is in it, by path.
    """

    content: bytes
    hash: str
    files: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """Publisher, name and version, as the app itself states them."""
        project, app = self._config["project"], self._config["tool"]["flwr"]["app"]
        return f"{app['publisher']}/{project['name']} {project['version']}"

    @property
    def settings(self) -> dict[str, Any]:
        """The run-config that it has where a run sets nothing else."""
        return dict(self._config["tool"]["flwr"]["app"].get("config", {}))

    def text(self, path: str) -> str:
        """Return a file to be read.

        Raises:
            InputError: there is no such file, or it is no text.
        """
        if path not in self.files:
            raise InputError(f"path must be a file of the app, {', '.join(self.files)}, got {path!r}")
        try:
            return self.files[path].decode()
        except UnicodeDecodeError:
            raise InputError(f"path must be a text, and this file is none: {path!r}") from None

    @property
    def _config(self) -> dict[str, Any]:
        return tomllib.loads(self.text(_CONFIG))


def build_app(folder: Path) -> AppBundle:
    """Bundle an app exactly as `flwr run` does on this machine.

    Args:
        folder: with the app's pyproject.toml.

    Raises:
        InputError: it is no app.
    """
    if not (Path(folder) / _CONFIG).is_file():
        raise InputError(f"folder must have a {_CONFIG}, got {str(folder)!r}")
    try:
        content = build_fab_from_disk(Path(folder))
    except ValueError as error:
        raise InputError(f"folder must be a Flower app, got {str(folder)!r}: {error}") from None
    return bundle_of(content)


def read_app(path: Path) -> AppBundle:
    """Read a bundle from a file; nothing in it is run, and nothing unpacked.

    Raises:
        InputError: it cannot be read, or is no sound bundle; see `bundle_of`.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"the app cannot be read ({error.strerror}): {str(path)!r}") from None
    return bundle_of(content)


def bundle_of(content: bytes) -> AppBundle:
    """Return the bundle with these bytes.

    Raises:
        InputError: no zip archive; a file whose name leads out of the app or is there twice, so that what is read might
            not be what runs; a file that is not as the bundle's own list says; or too much of it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > _MOST_BYTES:
                raise InputError(f"an app must have at most {_MOST_BYTES:,} bytes, got more")
            for info in infos:
                path = PurePosixPath(info.filename)
                if path.is_absolute() or ".." in path.parts or "\\" in info.filename:
                    raise InputError(f"an app's files must be inside of it, got {info.filename!r}")
            files = {info.filename: archive.read(info) for info in infos if not info.is_dir()}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise InputError(f"an app must be a .fab as flwr build writes it: {error}") from None
    if len({name.casefold() for name in files}) < len(infos):
        raise InputError("an app must have each file once, and this one has one twice, or a folder")
    listed = {}
    for line in files.pop(_CONTENTS, b"").decode(errors="replace").splitlines():
        name, digest, _ = (line.rsplit(",", 2) + ["", ""])[:3]
        listed[name] = digest
    if listed != {name: hashlib.sha256(data).hexdigest() for name, data in files.items()} or _CONFIG not in files:
        raise InputError(f"an app must have the files that its {_CONTENTS} lists, with these hashes, and {_CONFIG}")
    return AppBundle(content, hashlib.sha256(content).hexdigest(), files)


def changed_lines(old: AppBundle, new: AppBundle) -> str:
    """Return what differs between two apps, line by line, as `diff -u` shows it; empty if no file differs."""
    parts: list[str] = []
    for path in sorted({*old.files, *new.files}):
        before, after = (app.files.get(path, b"").decode(errors="backslashreplace").splitlines() for app in (old, new))
        parts += difflib.unified_diff(before, after, f"approved/{path}", f"offered/{path}", lineterm="", n=1)
    return "\n".join(parts)

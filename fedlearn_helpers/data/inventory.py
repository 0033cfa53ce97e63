"""What is in the cache, and whether it is as it was written; no notebook asks."""

from dataclasses import dataclass
from pathlib import Path

from fedlearn_helpers.data.cache import FORMAT, cache_folder, read_intact


@dataclass(frozen=True)
class Entry:
    """A data set in the cache.

    Attributes:
        name: of the data set; "folder" for a folder of images.
        path: the entry's folder.
        size: in bytes.
        intact: whether all files have the size and the hash that they were written with.
        origin: where the pixels came from; empty if that cannot be read.
    """

    name: str
    path: Path
    size: int
    intact: bool
    origin: str


def entries() -> list[Entry]:
    """Check everything in the cache, and return it; nothing is removed."""
    found = []
    for path in sorted(cache_folder().glob(f"*-v{FORMAT}-*")):
        decoded = read_intact(path)
        size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
        name = path.name.rpartition(f"-v{FORMAT}-")[0]
        found.append(Entry(name, path, size, decoded is not None, decoded.origin if decoded else ""))
    return found

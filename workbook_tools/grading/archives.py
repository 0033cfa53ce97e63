"""Takes the notebooks out of a zip file that somebody else has made.

Nothing is written under a name, or in a place, that the archive chooses, and nothing is unpacked that is larger than
notebooks are.
"""

import lzma
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from fedlearn_helpers.errors import one_line
from workbook_tools.grading.handed_in import (
    A_LINK,
    HEAD,
    MOST_BYTES,
    NO_NOTEBOOK,
    OUR_PACKAGES,
    HandIn,
    NotCollected,
    is_archive,
    is_notebook,
    is_of_systems,
    may_be_notebook,
    reason_by_name,
    shown,
)

_MOST_FILES = 10_000
_MOST_DENSE = 200  # times its size in the archive; notebooks are packed to a tenth, a trap to a thousandth
_DENSE_FROM = 1_000_000  # bytes: what is smaller does no harm
_ALIKE = 5  # files with one reason are named each, if they are no more
_ENCRYPTED = 0x1  # a flag of a file in an archive
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError),  # a way to pack that is unknown, a password, a wrong number
)


def take_out(file: IO[bytes], name: str, temporary: Path) -> tuple[list[HandIn], list[NotCollected]]:
    """Copy an archive's notebooks; return them, and what else it has.

    Args:
        file: the archive.
        name: of the archive, to name what is in it.
        temporary: a folder for the copies.
    """
    found: list[HandIn | NotCollected] = []
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > _MOST_FILES:
                return [], [NotCollected(name, f"an archive with more than {_MOST_FILES:,} files")]
            for one in _members(archive, members, name, Path(tempfile.mkdtemp(dir=temporary))):
                found.append(one)
    except _DAMAGED as error:
        found.append(NotCollected(name, f"an archive that cannot be opened ({one_line(error)})"))
    if not found:
        found.append(NotCollected(name, "an archive with nothing in it that could be graded"))
    others = [one for one in found if isinstance(one, NotCollected)]
    return [one for one in found if isinstance(one, HandIn)], _summed_up(name, others)


def _members(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], outer: str, folder: Path
) -> Iterator[HandIn | NotCollected]:
    """Yield what becomes of each file of an archive."""
    room = MOST_BYTES
    for number, member in enumerate(sorted(members, key=lambda one: one.filename)):
        path = PurePosixPath(member.filename.replace("\\", "/"))
        name = f"{outer}/{shown(str(path))}"
        if any(map(is_of_systems, path.parts)):
            continue
        if reason := _reason_by_header(member, path):
            yield NotCollected(name, reason)
            continue
        try:
            with archive.open(member) as file:
                content, reason = _read(file, path.name, member.file_size, room)
        except _DAMAGED as error:
            yield NotCollected(name, f"damaged ({one_line(error)})")
            continue
        room -= len(content)
        if reason:
            yield NotCollected(name, reason)
            continue
        copied = folder / str(number) / re.sub(r"[^\w .()-]", "_", path.name)[-80:]
        copied.parent.mkdir()
        copied.write_bytes(content)
        yield HandIn(name, copied)


def _reason_by_header(member: zipfile.ZipInfo, path: PurePosixPath) -> str:
    """Return why a file is not even opened; empty if it may be."""
    kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where the archive was not made on Unix
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", member.filename):
        return "its path leads out of the archive"
    if kind not in (0, stat.S_IFREG):
        return A_LINK
    if any(part.startswith(".") for part in path.parts):
        return "hidden"
    if not set(path.parts).isdisjoint(OUR_PACKAGES):
        return "part of a copy of the workbook's package"
    if reason := reason_by_name(path.name):
        return reason
    if member.flag_bits & _ENCRYPTED:
        return "encrypted"
    if member.file_size > max(_DENSE_FROM, _MOST_DENSE * member.compress_size):
        return f"packed to less than 1/{_MOST_DENSE} of its size, as no notebook is"
    return ""


def _read(file: IO[bytes], name: str, size: int, room: int) -> tuple[bytes, str]:
    """Return what was read of a file, and why it is no notebook; the reason is empty if it is one."""
    head = file.read(HEAD)
    if is_archive(name, head):
        return head, "an archive in an archive, which is not opened"
    if not may_be_notebook(name, head):
        return head, NO_NOTEBOOK
    if size > room:
        return head, f"more than {MOST_BYTES / 1e6:.0f} MB out of one archive"
    content = head + file.read(size)
    return content, "" if is_notebook(name, content) else NO_NOTEBOOK


def _summed_up(archive: str, others: list[NotCollected]) -> list[NotCollected]:
    """Return what was left out of an archive, with one entry where many files have the same reason."""
    alike: dict[str, list[NotCollected]] = {}
    for one in others:
        alike.setdefault(one.reason, []).append(one)
    found = []
    for reason, many in alike.items():
        if len(many) <= _ALIKE:
            found += many
        else:
            example = many[0].name.removeprefix(f"{archive}/")
            found.append(NotCollected(f"{archive}: {len(many)} files", f"{reason}; one is {example}"))
    return found

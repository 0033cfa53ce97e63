"""What was handed in: every file below a folder is a notebook to be graded, or is named with the reason why not.

Only what systems and editors keep beside files is not named, unless a folder has nothing else.
"""

import os
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fedlearn_helpers.errors import InputError
from workbook_tools.grading.archives import take_out
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


@dataclass(frozen=True)
class Collected:
    """All that was handed in, each in the order of names, of which there are no two alike."""

    notebooks: list[HandIn]
    others: list[NotCollected]


@contextmanager
def collect(folder: Path, leave: Set[Path] = frozenset()) -> Iterator[Collected]:
    """Yield what lies in a folder of submissions; copies of what was in archives are there inside the block.

    Args:
        folder: of the submissions, with sub-folders or without.
        leave: resolved paths in it that are no submissions.

    Raises:
        InputError: no such folder, or no notebook in it.
    """
    if not folder.is_dir():
        raise InputError(f"submissions must be a folder with notebooks, got {str(folder)!r}, which is no folder")
    with tempfile.TemporaryDirectory(prefix="fedlearn-handed-in-", ignore_cleanup_errors=True) as temporary:
        found = _Collector(folder, leave, Path(temporary)).collected()
        if not found.notebooks:
            named = "".join(f"; not collected: {one.name} ({one.reason})" for one in found.others)
            raise InputError(f"submissions must be a folder with notebooks, got {str(folder)!r} with none{named}")
        yield found


class _Collector:
    """Goes through a folder; the attributes are as in `collect`."""

    def __init__(self, root: Path, leave: Set[Path], temporary: Path) -> None:
        self._notebooks: list[HandIn] = []
        self._others: list[NotCollected] = []
        self._root, self._leave, self._temporary = root, leave, temporary

    def collected(self) -> Collected:
        for here, folders, files in os.walk(self._root, onerror=self._cannot_be_listed):
            folders[:] = [name for name in folders if self._is_entered(Path(here, name))]
            for name in files:
                self._take(Path(here, name))
        self._name_folders_without_anything()
        notebooks = sorted(self._notebooks, key=lambda one: one.name)
        others = sorted(self._others, key=lambda one: one.name)
        seen: Counter[str] = Counter()
        return Collected(
            [replace(one, name=_unlike(one.name, seen)) for one in notebooks],
            [replace(one, name=_unlike(one.name, seen)) for one in others],
        )

    def _is_entered(self, folder: Path) -> bool:
        if is_of_systems(folder.name) or folder.resolve() in self._leave:
            return False
        reason = ""
        if folder.is_symlink():
            reason = A_LINK
        elif folder.name.startswith("."):
            reason = "a hidden folder"
        elif folder.name in OUR_PACKAGES:
            reason = "a copy of the workbook's package"
        elif (folder / "pyvenv.cfg").exists():
            reason = "an environment of Python"
        if reason:
            self._leave_out(folder, reason)
        return not reason

    def _cannot_be_listed(self, error: OSError) -> None:
        self._leave_out(Path(error.filename), f"a folder that cannot be read ({error.strerror})")

    def _take(self, file: Path) -> None:
        if is_of_systems(file.name) or file.resolve() in self._leave:
            return
        try:
            facts = file.lstat()
            if stat.S_ISLNK(facts.st_mode):
                self._leave_out(file, A_LINK)
            elif not stat.S_ISREG(facts.st_mode):
                self._leave_out(file, "neither a file nor a folder")
            elif reason := reason_by_name(file.name):
                self._leave_out(file, reason)
            elif facts.st_size > MOST_BYTES:
                self._leave_out(file, f"larger than {MOST_BYTES / 1e6:.0f} MB")
            else:
                self._look_into(file)
        except OSError as error:
            self._leave_out(file, f"cannot be read ({error.strerror})")

    def _look_into(self, file: Path) -> None:
        name = self._name_of(file)
        with file.open("rb") as opened:
            head = opened.read(HEAD)
            if is_archive(file.name, head):
                notebooks, others = take_out(opened, name, self._temporary)
                self._notebooks += notebooks
                self._others += others
            elif may_be_notebook(file.name, head) and is_notebook(file.name, head + opened.read()):
                self._notebooks.append(HandIn(name, file))
            else:
                self._leave_out(file, NO_NOTEBOOK)

    def _name_folders_without_anything(self) -> None:
        names = [*(one.name for one in self._notebooks), *(one.name for one in self._others)]
        named = {name.partition("/")[0] for name in names}
        for path in self._root.iterdir():
            if not path.is_dir() or is_of_systems(path.name) or self._name_of(path) in named:
                continue
            resolved = path.resolve()
            if not any(resolved == left or resolved in left.parents for left in self._leave):
                self._leave_out(path, "a folder with nothing in it that could be graded")

    def _leave_out(self, path: Path, reason: str) -> None:
        self._others.append(NotCollected(self._name_of(path), reason))

    def _name_of(self, path: Path) -> str:
        return shown(path.relative_to(self._root).as_posix())


def _unlike(name: str, seen: Counter[str]) -> str:
    """Return a name that nothing else has: an archive may have two files of one name."""
    seen[name] += 1
    return name if seen[name] == 1 else _unlike(f"{name} ({seen[name]})", seen)

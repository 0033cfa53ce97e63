"""One file that was handed in: whether it is a notebook, and if not, why.

A notebook is known by what is in it, whatever mail programs and browsers have made of its name.
"""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fedlearn_helpers.errors import InputError
from workbook_tools.execution.reading import parse_notebook

MOST_BYTES = 100_000_000  # of a notebook, and of all that is taken out of one archive
HEAD = 64  # bytes at the beginning of a file that tell what it may be
NO_NOTEBOOK = "no notebook, by its name or by what is in it"
A_LINK = "a link, which is not followed"
OUR_PACKAGES = ("fedlearn_helpers", "workbook_tools")
_OF_SYSTEMS = {  # what systems and editors keep beside files
    "__macosx",
    "__pycache__",
    "@eadir",
    "$recycle.bin",
    "system volume information",
    ".ds_store",
    ".fseventsd",
    ".git",
    ".gitattributes",
    ".gitignore",
    ".gitkeep",
    ".idea",
    ".ipynb_checkpoints",
    ".spotlight-v100",
    ".trashes",
    ".vscode",
    "desktop.ini",
    "icon\r",
    "thumbs.db",
}
_KINDS = {
    "a Python program, no notebook": ".py .pyc .pyi",
    "a page, no notebook": ".html .htm .mht .mhtml .xhtml .pdf",
    "a text document, no notebook": ".md .rst .tex .doc .docx .odt .pages .rtf",
    "a picture, no notebook": ".png .jpg .jpeg .gif .svg .heic .webp .bmp .tif .tiff",
    "a table, no notebook": ".csv .tsv .xls .xlsx .ods .numbers",
    "a pointer to a file, not the file": ".lnk .url .webloc .desktop .alias",
    "an archive of a kind that is not opened, unlike .zip": ".rar .7z .tar .gz .tgz .bz2 .tbz2 .xz .txz .zst .lz4 .jar",
}
_REASONS = {ending: reason for reason, endings in _KINDS.items() for ending in endings.split()}


@dataclass(frozen=True)
class HandIn:
    """A notebook that is to be graded.

    Attributes:
        name: its path below the folder of submissions; what an archive has in it stands below the archive's name.
        path: the file, or where what was in an archive was copied to.
    """

    name: str
    path: Path


@dataclass(frozen=True)
class NotCollected:
    """A file or folder, or many that are alike, with the reason why nothing in it is graded."""

    name: str
    reason: str


def is_of_systems(name: str) -> bool:
    """Return whether a file or folder is nobody's work, but kept by a system or an editor, to judge by its name."""
    return name.lower() in _OF_SYSTEMS or name.startswith(("._", "~$", ".~"))


def reason_by_name(name: str) -> str:
    """Return why a file is no notebook, whatever is in it; empty if its name tells no reason."""
    return "hidden" if name.startswith(".") else _REASONS.get(PurePosixPath(name).suffix.lower(), "")


def is_archive(name: str, head: bytes) -> bool:
    """Return whether a file is a zip file, or is called one.

    Args:
        name: of the file.
        head: its first bytes.
    """
    return name.lower().endswith(".zip") or head.startswith(b"PK\3\4")


def may_be_notebook(name: str, head: bytes) -> bool:
    """Return whether a file is called a notebook, or begins as one does; the arguments are those of `is_archive`."""
    begins = head.lstrip(b"\xef\xbb\xbf\xfe\xff\0 \t\r\n").startswith(b"{")  # in any encoding
    return ".ipynb" in name.lower() or begins


def is_notebook(name: str, content: bytes) -> bool:
    """Return whether a file is a notebook; one that is called so and cannot be read counts: grading reports it."""
    if ".ipynb" in name.lower():
        return True
    try:
        parse_notebook(content, name)
    except InputError:
        return False
    return True


def shown(name: str) -> str:
    """Return a file's name as it can be printed and written, whatever bytes it has."""
    text = os.fsencode(name).decode(errors="backslashreplace")
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)

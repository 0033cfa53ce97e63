"""The link to a notebook's edition for Colab at the top of its page.

Where pyproject.toml names a repository on GitHub, Colab opens the edition from its branch `colab`. Elsewhere a page
offers the edition for download, if it was made.
"""

import re
import tomllib
from pathlib import Path

import workbook_tools
from fedlearn_helpers.lessons.common import contents

BRANCH = "colab"
_PROJECT = Path(workbook_tools.__file__).parents[1] / "pyproject.toml"
_GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def repository(project: Path = _PROJECT) -> str | None:
    """Return "owner/name" of the repository on GitHub that the project's file names, or None."""
    try:
        urls = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["urls"]
        found = _GITHUB.fullmatch(urls["Repository"])
    except (OSError, KeyError):  # installed without it, or without an address
        return None
    return found[1] if found else None


def colab_link(name: str, editions: Path, place: str) -> str:
    """Return HTML with the link for a notebook's page; empty where there is no edition to open.

    Args:
        name: the notebook's file name.
        editions: the folder in which editions were made, if they were.
        place: the same folder, as the page reaches it.
    """
    if name not in {f"{entry.name}.ipynb" for entry in contents.entries()}:
        return ""
    if owner_and_name := repository():
        address = f"https://colab.research.google.com/github/{owner_and_name}/blob/{BRANCH}/{name}"
        return f'<p class="colab-link"><a href="{address}">Open in Colab</a></p>'
    if (editions / name).is_file():
        link = f'<a href="{place}/{name}" download>Download for Colab</a>'
        return f'<p class="colab-link">{link} (there: <em>File → Upload notebook</em>)</p>'
    return ""

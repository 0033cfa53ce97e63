"""Builds the site: executed notebooks and the pages in docs/ become build/site. Run by `make site`."""

import contextlib
import io
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from links import broken_links
from notebook_facts import bibliography, commands, contents_table, menu, outcomes, read_facts
from prepare import as_on_the_site, prepare
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from fedlearn_helpers.errors import InputError
from workbook_tools import cli
from workbook_tools.commands.arguments import say_what_is_left_out
from workbook_tools.editions.colab.link import colab_link, repository
from workbook_tools.execution.notebooks import of_the_workbook

DOCS = Path(__file__).parent
ROOT = DOCS.parent
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build"


class SiteError(Exception):
    """Sphinx warned, or a link leads nowhere; the message lists all of it."""


def main() -> None:
    """Run the notebooks that changed since they ran, and build the site."""
    sources = of_the_workbook(NOTEBOOKS)
    say_what_is_left_out(NOTEBOOKS)
    if stale := [path.name[:2] for path in sources if executed(path) is None]:
        print(f"Notebooks {', '.join(stale)} have not run since the last change.", flush=True)
        with contextlib.chdir(ROOT):  # the notebooks print the folder they write to: a relative one
            cli.run(stale)
    print("Building the site …", flush=True)
    try:
        build_site({path.name: executed(path) or path for path in sources}, BUILD / "site")
    except (InputError, SiteError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(f"Open {BUILD / 'site' / 'index.html'}")


def executed(source: Path) -> Path | None:
    """Return what `fedlearn run` made of a notebook, or None if it failed or is older than notebook or package."""
    results = BUILD / "results" / source.stem / "results.json"  # a notebook writes it at its end
    newest = max(path.stat().st_mtime for path in (source, *(ROOT / "fedlearn_helpers").rglob("*.py")))
    return BUILD / source.name if results.exists() and results.stat().st_mtime >= newest else None


def build_site(notebooks: Mapping[str, Path], output: Path) -> None:
    """Build the site; what was there before stays until the new one is complete.

    Args:
        notebooks: by file name, what to show: executed notebooks.
        output: the site's folder.

    Raises:
        InputError: a notebook does not say what the site needs of it.
        SiteError: Sphinx warned, or a link leads nowhere.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix="site-") as temporary:
        source, new = Path(temporary, "source"), Path(temporary, "site")
        _lay_out(notebooks, source)
        _run_sphinx(source, new, Path(temporary, "doctrees"))
        for edition in (BUILD / "colab" / name for name in notebooks):
            if edition.is_file() and repository() is None:
                (new / "colab").mkdir(exist_ok=True)
                shutil.copy(edition, new / "colab")
        if broken := broken_links(new):
            raise SiteError("\n".join(["links that lead nowhere:", *broken]))
        shutil.rmtree(output, ignore_errors=True)
        new.rename(output)


def _lay_out(notebooks: Mapping[str, Path], source: Path) -> None:
    """Put pages and notebooks side by side, as Sphinx wants them."""
    (source / "notebooks").mkdir(parents=True)
    for name, path in notebooks.items():
        prepare(path, source / "notebooks" / name, colab_link(name, BUILD / "colab", "../colab"))
    prepare(NOTEBOOKS / "glossary.ipynb", source / "notebooks" / "glossary.ipynb")
    (source / "pictures").mkdir()
    for path in DOCS.glob("*.md"):
        text, pictures = as_on_the_site(path.read_text(encoding="utf-8"))
        (source / path.name).write_text(text, encoding="utf-8")
        for picture in pictures:
            shutil.copy(DOCS / picture, source / "pictures")


def _run_sphinx(source: Path, output: Path, doctrees: Path) -> None:
    facts = read_facts(NOTEBOOKS)
    parts = {
        "contents": contents_table(facts),
        "all_cells": f"{sum(one.entry.seconds for one in facts) / 60:.0f} minutes",
        "menu": menu(facts),
        "outcomes": outcomes(facts),
        "bibliography": bibliography(facts),
        "commands": commands(),
    }
    warnings = io.StringIO()
    with patch_docutils(str(DOCS)), docutils_namespace():
        site = Sphinx(
            srcdir=source,
            confdir=DOCS,
            outdir=output,
            doctreedir=doctrees,
            buildername="html",
            confoverrides={"myst_substitutions": parts},
            status=None,
            warning=warnings,
        )
        site.build()
    if warnings.getvalue().strip() or site.statuscode:
        raise SiteError(f"Sphinx warned:\n{warnings.getvalue()}")


if __name__ == "__main__":
    main()

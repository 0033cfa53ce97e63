"""Links the glossary's terms where definitions use them: in each definition, the first time that it uses one.

Run it after a change of the glossary: `.venv/bin/python docs/link_terms.py`. A test holds that it has been run.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

GLOSSARY = Path(__file__).parents[1] / "notebooks" / "glossary.ipynb"
_HEADING = "### "
_LEFT_ALONE = r"\[[^\]]*\]\([^)]*\)|`[^`]*`|\$[^$]*\$"  # links, code, formulas


def main() -> None:
    """Link the terms in the glossary's file."""
    glossary = nbformat.read(GLOSSARY, as_version=4)
    link_terms(glossary)
    nbformat.write(glossary, GLOSSARY)


def link_terms(glossary: NotebookNode) -> None:
    """Link the terms in a glossary; what is linked already stays as it is."""
    entries = [cell for cell in glossary.cells if cell.source.startswith(_HEADING)]
    terms = [cell.source.partition("\n")[0].removeprefix(_HEADING) for cell in entries]
    for cell, own in zip(entries, terms, strict=True):
        heading, _, definition = cell.source.partition("\n\n")
        cell.source = f"{heading}\n\n{linked(definition, [term for term in terms if term != own], own)}"


def linked(definition: str, terms: Iterable[str], own: str = "") -> str:
    """Return a definition with links to the terms in it, in any case and in the plural, the first time each.

    Args:
        definition: in Markdown.
        terms: what to link.
        own: the term that is defined, which is left alone.
    """
    by_form = {form: term for term in terms for form in _forms(term)} | {form: "" for form in _forms(own) if form}
    longest_first = "|".join(re.escape(form) for form in sorted(by_form, key=len, reverse=True))
    done = {anchor.replace("-", " ") for anchor in re.findall(r"\]\(#([^)]+)\)", definition)}

    def replace(found: re.Match[str]) -> str:
        term = by_form.get(found[0].lower(), "")
        anchor = term.replace(" ", "-")
        if not term or anchor.replace("-", " ") in done:
            return found[0]
        done.add(anchor.replace("-", " "))
        return f"[{found[0]}](#{anchor})"

    return re.sub(rf"{_LEFT_ALONE}|(?<![\w-])(?:{longest_first})(?![\w-])", replace, definition, flags=re.IGNORECASE)


def _forms(term: str) -> set[str]:
    """Return a term in lower case, in the singular and in the plural."""
    small = term.lower()
    plurals = {f"{small}s", f"{small}es"} | ({f"{small[:-1]}ies"} if small.endswith("y") else set())
    return {small, *plurals} if small else set()


if __name__ == "__main__":
    main()

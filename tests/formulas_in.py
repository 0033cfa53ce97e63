"""The formulas in a notebook's text, found apart from what converts them."""

import re
from pathlib import Path

import nbformat


def formulas_in(path: Path) -> list[str]:
    """Return the formulas of a notebook's Markdown with their dollars, in reading order."""
    cells = nbformat.read(path, as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.findall(r"\$\$.+?\$\$|\$[^$\n]+\$", re.sub(r"`[^`]*`", "", text), re.DOTALL)

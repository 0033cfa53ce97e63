"""What the browser tests share: where the notebooks are, and how wide the page is."""

from pathlib import Path

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WIDTH = 1280

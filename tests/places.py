"""What tests of several folders share: where the notebooks are, and how wide a browser's page is."""

from pathlib import Path

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
WIDTH = 1280

"""What tests of several folders share: where notebooks and lessons' tests are, and how wide a browser's page is."""

from pathlib import Path

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LESSONS = Path(__file__).with_name("lessons")
WIDTH = 1280

"""Draws the picture of the README and of the site's first page: `python docs/draw_pictures.py`."""

from pathlib import Path

import matplotlib

from fedlearn_helpers.lessons.start_here import figures

FOLDER = Path(__file__).parent / "_static"


def main() -> None:
    """Draw one round of federated averaging, as notebook 00 does."""
    with matplotlib.rc_context({"svg.hashsalt": "one round"}):  # the same file every time
        figures.one_round().figure.savefig(FOLDER / "one_round.svg", facecolor="white", metadata={"Date": None})


if __name__ == "__main__":
    main()

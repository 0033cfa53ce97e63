"""Makes the app importable, as Flower does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "flower_app"))

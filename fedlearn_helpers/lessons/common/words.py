"""Numbers in words, for sentences about a run."""

from collections.abc import Sequence

import numpy as np


def spread(values: Sequence[float] | np.ndarray, decimals: int = 1) -> str:
    """Return the mean and the range of values, such as "+1.2 (-0.3 to +2.0)"; nan is left out."""
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    if not len(known):
        return "not measurable"
    return f"{known.mean():+.{decimals}f} ({known.min():+.{decimals}f} to {known.max():+.{decimals}f})"

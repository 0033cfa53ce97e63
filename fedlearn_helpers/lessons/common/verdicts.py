"""Which differences are clear, as a table."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from fedlearn_helpers.metrics import is_clear


def verdicts(differences: Mapping[Hashable, Sequence[float] | np.ndarray], seeds: Sequence[int]) -> Styler:
    """Return a table of paired differences in points, and whether each is clear (`metrics.is_clear`).

    Args:
        differences: by comparison (a name, or names from coarse to fine), one in shares for each seed: a row.
        seeds: their seeds, a column each.
    """
    table = pd.DataFrame({name: 100 * np.asarray(row, dtype=float) for name, row in differences.items()}).T
    table.columns = [f"seed {seed}" for seed in seeds]
    table["mean"] = table.mean(axis=1)
    table["clear?"] = ["clear" if is_clear(row) else "not clear" for row in map(list, differences.values())]
    return table.style.format("{:+.1f}", subset=table.columns[:-1])

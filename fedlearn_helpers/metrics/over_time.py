"""Values that change at moments and hold in between, such as a model's accuracy by the clock."""

from collections.abc import Sequence

import numpy as np

Values = Sequence[float] | np.ndarray


def values_at(times: Values, values: Values, moments: np.ndarray) -> np.ndarray:
    """Return the values (m,) that hold at these moments (m,): those of the last change until then, 0 before the first.

    Args:
        times: (n,) when the value changes, ascending.
        values: (n,) what it changes to.
        moments: (m,) in the unit of times.
    """
    since_start = np.concatenate([[0.0], np.asarray(values, dtype=float)])
    return since_start[np.searchsorted(np.asarray(times), moments, side="right")]


def last_quarter(times: Values, values: Values, until: float) -> float:
    """Return the mean value over the last quarter of the time from 0 to `until`; times and values as in `values_at`."""
    return float(values_at(times, values, np.linspace(0.75 * until, until, 400)).mean())

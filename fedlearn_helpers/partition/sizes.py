"""From drawn sizes and shares to parts: what partition rules that draw have in common."""

from collections.abc import Callable, Sequence

import numpy as np

from fedlearn_helpers.errors import InputError

_DRAWS = 200


def draw_until_large_enough(
    draw: Callable[[], np.ndarray], *, min_size: int, num_clients: int, alpha: float
) -> np.ndarray:
    """Draw until every client has at least `min_size` examples, and return that draw.

    Args:
        draw: returns numbers of examples, (clients,) or (classes, clients).
        min_size, num_clients, alpha: of the partition.

    Raises:
        InputError: no such draw among the first 200.
    """
    for _ in range(_DRAWS):
        counts = draw()
        if np.atleast_2d(counts).sum(axis=0).min() >= min_size:
            return counts
    raise InputError(
        f"min_size={min_size} could not be met in {_DRAWS} draws of {num_clients} clients with alpha={alpha:g}; "
        "use a larger alpha, fewer clients or a smaller min_size"
    )


def cut(examples: np.ndarray, sizes: Sequence[int] | np.ndarray) -> list[np.ndarray]:
    """Cut an array of examples into pieces of these sizes, which add up to its length."""
    return np.split(examples, np.cumsum(sizes)[:-1])


def whole_sizes(shares: np.ndarray, total: int) -> np.ndarray:
    """Turn shares (n,) that add up to 1 into whole numbers (n,) that add up to `total`."""
    bounds = np.rint(np.cumsum(shares) * total).astype(np.int64)
    bounds[-1] = total  # whatever the rounding errors of the sum
    return np.diff(bounds, prepend=0)

"""What several partition rules need: checks of arguments, and functions that turn sizes into parts."""

import math
from collections.abc import Callable, Sequence
from numbers import Integral

import numpy as np

from fedlearn_helpers.errors import InputError

_DRAWS = 200


def check_whole(argument: str, value: object) -> None:
    """Check that a value is a whole number, and of a type for whole numbers.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, Integral):
        raise InputError(f"{argument} must be a whole number, got {value!r}")


def new_generator(seed: int) -> np.random.Generator:
    """Return a generator of random numbers.

    Raises:
        InputError: the seed is not a whole number >= 0.
    """
    check_whole("seed", seed)
    if seed < 0:
        raise InputError(f"seed must be >= 0, got {seed}")
    return np.random.default_rng(seed)


def check_labels(labels: np.ndarray) -> np.ndarray:
    """Return labels as an array (n,), if there is one whole number for each example.

    Raises:
        InputError: they have another shape, or there are others among them, such as NaN.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise InputError(f"labels must hold one whole number per example, got an array of shape {labels.shape}")
    wrong = labels[:1]
    if labels.dtype.kind in "biuf":
        wrong = labels[~(np.isfinite(labels) & (labels == np.floor(labels)))]
    if len(wrong):
        raise InputError(f"labels must hold one whole number per example, got {wrong[0]}")
    return labels.astype(np.int64) if labels.dtype.kind == "f" else labels


def check_clients(num_clients: int, num_examples: int, min_size: int = 1) -> None:
    """Check that there are `min_size` examples for every client.

    Raises:
        InputError: there are too few examples, min_size is below 1, or one of them is no whole number.
    """
    check_whole("num_clients", num_clients)
    check_whole("min_size", min_size)
    if not 1 <= num_clients <= num_examples:
        raise InputError(f"num_clients must be between 1 and the {num_examples} training examples, got {num_clients}")
    if min_size < 1:
        raise InputError(f"min_size must be >= 1, got {min_size}")
    if num_clients * min_size > num_examples:
        raise InputError(
            f"num_clients must be <= {num_examples // min_size}, since each client needs min_size={min_size} of the "
            f"{num_examples} training examples, got {num_clients}"
        )


def check_alpha(alpha: float) -> None:
    """Check the parameter of a Dirichlet distribution.

    Raises:
        InputError: it is not a finite number above 0.
    """
    if not (alpha > 0 and math.isfinite(alpha)):
        raise InputError(f"alpha must be > 0 and finite, got {alpha}")


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

"""Checks of arguments that several partition rules take."""

from numbers import Integral

import numpy as np

from fedlearn_helpers.errors import InputError, check_number
from fedlearn_helpers.seeds import check_seed


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
        InputError: the seed is not a whole number in [0, 2**63).
    """
    return np.random.default_rng(check_seed(seed))


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
    check_number("alpha", alpha, "> 0 and finite", lambda value: value > 0)

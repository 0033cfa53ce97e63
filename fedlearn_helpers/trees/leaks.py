"""What a histogram tells about single rows, where the server sees the answer of one site and not only the total.

In the first question of boosting every row has p = 1/2, so g = 1/2 - y and h = 1/4. Then a bin's sums are counts:

    rows = 4 H        rows with label 1 = 2 H - G

A bin with one row tells its value, to the width of the bin, and its label. Later g still has the sign of 1/2 - y:
below 0 for label 1, above 0 for label 0.
"""

import numpy as np

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.statistics.suppression import HIDDEN, hide_small
from fedlearn_helpers.trees.boosting import STEP


def counts_of_first(answer: np.ndarray, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what the first answer of `GRADIENTS_IN_BINS`, for the root of the first tree, says.

    Args:
        answer: int64 (2 d (B + 1),), of one site or of all.
        features: d, >= 1.

    Returns:
        Rows, and rows with label 1, int64 (d, B + 1) each: per feature and bin, that of missing values last.

    Raises:
        InputError: an answer of another length, or to another question.
    """
    check_whole_number("features", features, 1)
    answer = np.asarray(answer, np.int64)
    if answer.ndim != 1 or len(answer) == 0 or len(answer) % (2 * features):
        raise InputError(f"answer must have two sums per feature ({features}) and bin, got shape {answer.shape}")
    G, H = answer.reshape(2, features, -1) * STEP
    rows, positive = 4 * H, 2 * H - G
    if (rows % 1).any() or (positive % 1).any() or (positive < 0).any() or (positive > rows).any():
        raise InputError("answer must be to the first question, of which every row has p = 1/2")
    return rows.astype(np.int64), positive.astype(np.int64)


def small_bins(counts: np.ndarray, least: int) -> int:
    """Return how many counts of rows name too few: from 1 to least - 1.

    Args:
        counts: int64 of any shape, such as one site's answer to `COUNTS_IN_BINS`.
        least: k, >= 2; with 2 only bins with one row are counted.

    Raises:
        InputError: an argument out of range.
    """
    return int((hide_small(counts, least) == HIDDEN).sum())

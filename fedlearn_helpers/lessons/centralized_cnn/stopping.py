"""When a training stops, and which epoch it keeps."""

from collections.abc import Sequence

import numpy as np


def kept_and_ended(accuracies: Sequence[float], epochs: int, patience: int) -> tuple[int, int]:
    """Return the epoch that early stopping keeps, and the one after which it ends the training, counted from 1.

    Args:
        accuracies: on the validation images, one per epoch.
        epochs: before which nobody stops.
        patience: epochs without a better accuracy that end a training.
    """
    kept = ended = 1
    for ended in range(min(epochs, len(accuracies)), len(accuracies) + 1):
        kept = 1 + int(np.argmax(accuracies[:ended]))
        if ended - kept >= patience:
            break
    return kept, ended

"""The experiment of the third wrap-up whose mistake is to be found from outside: reading on would spoil it."""

import numpy as np


def report_a(validation: np.ndarray, test: np.ndarray) -> float:
    """Report how well the models do that clients choose.

    Args:
        validation, test: (clients, models) accuracies; every client gets one of the models.
    """
    chosen = np.argmax(test, axis=1)  # the mistake: what judges has chosen
    return float(np.mean([row[model] for row, model in zip(test, chosen, strict=True)]))

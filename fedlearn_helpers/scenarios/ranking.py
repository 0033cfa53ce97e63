"""How well a model ranks examples of a rare class, whatever threshold is chosen in the end.

    average precision    sum over ranks n of (recall_n - recall_{n-1}) precision_n
    share found          recall among the share of the examples with the highest scores

Examples of one score are of one rank. A model that knows nothing has the class's share as average precision, and finds
of it the share that it looks at. Accuracy would call "never" right for 19 loans of 20.
"""

import numpy as np
import torch
from torch import nn

from fedlearn_helpers.data.dataset import Dataset
from fedlearn_helpers.errors import check_number
from fedlearn_helpers.metrics.binary import check_positive_rows, check_scored, counts_by_score


@torch.no_grad()
def scores_of_class_1(
    model: nn.Module, dataset: Dataset, indices: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of class 1 (n,) that a model gives, and the classes (n,).

    Args:
        model: of two classes.
        dataset: on the model's device.
        indices: (n,) of the training examples, such as a shard's `validation`; None for the test examples.
    """
    inputs, targets = dataset.test_inputs, dataset.test_targets
    if indices is not None:
        chosen = torch.as_tensor(indices)
        inputs, targets = dataset.train_inputs[chosen], dataset.train_targets[chosen]
    model.eval()
    probabilities = model(dataset.task.inputs(inputs)).softmax(dim=1)[:, 1]
    return probabilities.double().cpu().numpy(), targets.cpu().numpy()


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the average precision, in (0, 1].

    Args:
        scores: (n,) finite, higher for what is more likely of class 1.
        labels: (n,) 1 or 0, with at least one 1.

    Raises:
        InputError: other arrays.
    """
    found, others = _counts(scores, labels)
    recall = found / found[-1]
    return float((np.diff(recall, prepend=0.0) * found / (found + others)).sum())


def share_found(scores: np.ndarray, labels: np.ndarray, looked_at: float) -> float:
    """Return which share of class 1 is among the share of examples with the highest scores, in [0, 1].

    Where examples of one score are on both sides of the border, they count as in random order.

    Args:
        scores, labels: as in `average_precision`.
        looked_at: share of the examples, in (0, 1].

    Raises:
        InputError: other arrays, or a share out of range.
    """
    check_number("looked_at", looked_at, "> 0 and <= 1", lambda share: 0 < share <= 1)
    found, others = _counts(scores, labels)
    seen = found + others
    return float(np.interp(looked_at * seen[-1], [0, *seen], [0, *found]) / found[-1])


def _counts(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many of class 1, and how many others, have at least each score, from the highest score down."""
    scores, labels = check_scored(scores, labels)
    check_positive_rows(labels, "a ranking")
    return counts_by_score(scores, labels)[1:]

"""Tables with two classes, one of them rare."""

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from fedlearn_helpers.errors import check_number
from fedlearn_helpers.tasks.classes import as_they_are
from fedlearn_helpers.tasks.task import Task


def class_by_threshold(scores: Tensor, *, threshold: float) -> tuple[Tensor, Tensor]:
    """Return class 1 where its probability is above a threshold, else 0 (n,), and that class's probability (n,).

    Args:
        scores: (n, 2), one per class, before softmax.
        threshold: in (0, 1); 0.5 gives the most likely class.
    """
    probabilities = scores.softmax(dim=1)
    predictions = (probabilities[:, 1] > threshold).long()
    return predictions, probabilities.gather(1, predictions[:, None])[:, 0]


def balanced(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return numbers (n,) whose mean is the balanced accuracy: the mean over the classes present of the share right.

    An example that is predicted right counts n / (classes x examples of its class), another one 0: an example of a
    rare class counts more. Always the same class gives 1 / classes, however frequent it is.
    """
    classes, examples = targets.unique(return_counts=True)
    weights = len(targets) / (len(classes) * examples.double())
    return (predictions == targets).double() * weights[torch.searchsorted(classes, targets)]


def rare_class(share: float) -> Task:
    """Return the task of tables whose class 1 is rare: an example is called 1 where its probability is above its share.

    The loss is the cross-entropy as ever, so probabilities stay what they are. The threshold alone is lower than 0.5:
    of all thresholds that of the share gives the best balanced accuracy, if the probabilities are right.

    Args:
        share: of class 1 among the training examples, in (0, 1).

    Raises:
        InputError: a share out of range.
    """
    check_number("share", share, "> 0 and < 1", lambda share: 0 < share < 1)
    predict = functools.partial(class_by_threshold, threshold=float(share))
    return Task("tables", as_they_are, F.cross_entropy, predict, balanced)

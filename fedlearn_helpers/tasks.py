"""What is learned: how stored examples become inputs of a model, and how its outputs are judged."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fedlearn_helpers.errors import check_number


@dataclass(frozen=True)
class Task:
    """A kind of learning problem. Images are one, tables and texts are others.

    Attributes:
        name: what is learned from, for messages.
        inputs: maps stored examples (n, ...) to what a model takes, (n, ...) float or int64.
        loss: called with outputs (n, ...) and targets (n, ...), returns their mean loss; with `reduction="sum"` its
            sum. PyTorch's functional losses are of this form.
        predict: maps outputs to predictions (n, ...) and to how sure the model is of each example's, (n,) in [0, 1].
        metric: called with predictions (n, ...) and targets (n, ...) of all examples that are evaluated, returns one
            number per example, whose mean is reported as accuracy.
    """

    name: str
    inputs: Callable[[Tensor], Tensor]
    loss: Callable[..., Tensor]
    predict: Callable[[Tensor], tuple[Tensor, Tensor]]
    metric: Callable[[Tensor, Tensor], Tensor]


def normalize(images: Tensor) -> Tensor:
    """Turn uint8 pixels in [0, 255] into float32 numbers in [-1, 1]; same shape."""
    return images.float().div_(127.5).sub_(1.0)


def most_likely_class(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the class with the highest score (n,) int64 and its probability (n,), from scores (n, classes)."""
    confidences, predictions = scores.softmax(dim=1).max(dim=1)
    return predictions, confidences


def is_right(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return for each example (n,) whether its prediction is its target."""
    return predictions == targets


def as_they_are(rows: Tensor) -> Tensor:
    """Return rows of numbers (n, features) float32 as they are: they were prepared before they were stored."""
    return rows


IMAGES = Task("images", normalize, F.cross_entropy, most_likely_class, is_right)
"""uint8 images (n, channels, height, width) with a class each."""

TABLES = Task("tables", as_they_are, F.cross_entropy, most_likely_class, is_right)
"""Rows of numbers (n, features) float32 with a class each; a model of two classes has two scores."""

SIGNALS = Task("signals", as_they_are, F.cross_entropy, most_likely_class, is_right)
"""Pieces of measurements over time (n, channels, length) float32 with a class each."""


def as_numbers(characters: Tensor) -> Tensor:
    """Return characters (n, length) uint8, each by its number in the vocabulary, as int64: an embedding takes these."""
    return characters.long()


def loss_per_character(scores: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    """Return the cross-entropy of the next characters, in nats per character.

    Args:
        scores: (n, length, vocabulary), at every place of a text those of the character that follows.
        targets: (n, length) int64, the characters that follow.
        reduction: "mean" over the n texts, or "sum" over them.
    """
    loss = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction=reduction)
    return loss / targets.shape[1] if reduction == "sum" else loss


def most_likely_characters(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next characters (n, length) with the highest scores, and their mean probability in each text (n,)."""
    confidences, predictions = scores.softmax(dim=2).max(dim=2)
    return predictions, confidences.mean(dim=1)


def share_right(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return for each text (n,) the share of its characters that are predicted, in [0, 1]."""
    return (predictions == targets).double().mean(dim=1)


TEXT = Task("text", as_numbers, loss_per_character, most_likely_characters, share_right)
"""Pieces of text (n, length) uint8, with the characters that follow each of theirs (n, length) int64."""


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

"""What is learned: how stored examples become inputs of a model, and how its outputs are judged."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Task:
    """A kind of learning problem. Images are one, tables and texts are others.

    Attributes:
        name: what is learned from, for messages.
        inputs: maps stored examples (n, ...) to what a model takes, (n, ...) float or int64.
        loss: called with outputs (n, ...) and targets (n, ...), returns their mean loss; with `reduction="sum"` its
            sum. PyTorch's functional losses are of this form.
        predict: maps outputs to predictions (n,) and to how sure the model is of each, (n,) in [0, 1].
        metric: called with predictions (n,) and targets (n,), returns one number per example, whose mean is reported
            as accuracy.
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

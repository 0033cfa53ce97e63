"""Examples with a class each: images, rows of tables, pieces of signals."""

from torch import Tensor
from torch.nn import functional as F

from fedlearn_helpers.tasks.task import Task


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

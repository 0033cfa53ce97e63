"""Local training and evaluation over tensors that hold the whole data set as uint8.

A client is a list of indices into shared tensors: nothing is copied per client, and a batch
becomes floating point only when the model needs it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.pooling import quickly_pooled

EVALUATION_BATCH = 250


@dataclass(frozen=True)
class Evaluation:
    """How a model does on some examples.

    Attributes:
        loss: mean cross-entropy in nats.
        accuracy: share of right predictions, in [0, 1].
        num_examples: how many examples were looked at.
        predictions: (num_examples,) int64, the predicted class of each example, in order.
        confidences: (num_examples,) float32, the probability the model gives its prediction.
    """

    loss: float
    accuracy: float
    num_examples: int
    predictions: Tensor
    confidences: Tensor


def normalize(images: Tensor) -> Tensor:
    """Turn uint8 pixels in [0, 255] into float32 numbers in [-1, 1]; same shape."""
    return images.float().div_(127.5).sub_(1.0)


@quickly_pooled
def train(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    indices: Tensor | np.ndarray,
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
) -> float:
    """Train the model in place on `images[indices]` and return the mean loss over all its steps.

    Args:
        model: maps float images (n, channels, height, width) to scores (n, classes).
        images: (N, channels, height, width) uint8, on the model's device.
        labels: (N,) int64, on the model's device.
        indices: (n,) int64, the examples to train on.
        optimizer: holds the model's parameters.
        epochs: passes over the examples, >= 1.
        batch_size: examples a step, >= 1; the last batch of an epoch may be smaller.
        seed: decides the order of the examples.

    Returns:
        Mean cross-entropy per example over all steps, each measured before its update.

    Raises:
        InputError: no examples, or epochs or batch_size below 1.
    """
    if len(indices) == 0:
        raise InputError("indices must name at least one training example, got none")
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise InputError(f"{name} must be >= 1, got {value}")
    indices = torch.as_tensor(indices)
    generator = torch.Generator().manual_seed(seed)
    model.train()
    total_loss = torch.zeros((), device=images.device)
    for _ in range(epochs):
        order = indices[torch.randperm(len(indices), generator=generator)]
        for batch in order.to(images.device).split(batch_size):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(normalize(images[batch])), labels[batch])
            loss.backward()
            optimizer.step()
            total_loss += loss.detach() * len(batch)
    return total_loss.item() / (epochs * len(indices))


@quickly_pooled
@torch.no_grad()
def evaluate(
    model: nn.Module, images: Tensor, labels: Tensor, indices: Tensor | np.ndarray | None = None
) -> Evaluation:
    """Evaluate the model on `images[indices]`, or on all images.

    Args:
        model: maps float images (n, channels, height, width) to scores (n, classes).
        images: (N, channels, height, width) uint8, on the model's device.
        labels: (N,) int64, on the model's device.
        indices: (n,) int64, the examples to look at; None means all.

    Raises:
        InputError: no examples.
    """
    indices = torch.arange(len(images)) if indices is None else torch.as_tensor(indices)
    if len(indices) == 0:
        raise InputError("indices must name at least one example to evaluate, got none")
    model.eval()
    total_loss, predictions, confidences = 0.0, [], []
    for batch in indices.to(images.device).split(EVALUATION_BATCH):
        scores = model(normalize(images[batch]))
        total_loss += F.cross_entropy(scores, labels[batch], reduction="sum").item()
        confidence, prediction = scores.softmax(dim=1).max(dim=1)
        predictions.append(prediction.cpu())
        confidences.append(confidence.cpu())
    predicted = torch.cat(predictions)
    right = (predicted == labels[indices.to(labels.device)].cpu()).sum().item()
    return Evaluation(total_loss / len(indices), right / len(indices), len(indices), predicted, torch.cat(confidences))


def pick_device(name: str = "auto") -> torch.device:
    """Return the device to compute on.

    Args:
        name: "cpu", "cuda", or "auto" for CUDA where there is one.

    Raises:
        InputError: another name, or "cuda" on a machine without a usable CUDA device.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"device must be 'auto', 'cpu' or 'cuda', got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device must be 'cpu' or 'auto' here: PyTorch sees no CUDA device on this machine, got 'cuda'")
    return torch.device("cpu" if name == "cpu" or not torch.cuda.is_available() else "cuda")

"""Local training and evaluation over tensors that hold the whole data set as uint8.

A client is a list of indices into shared tensors: nothing is copied per client, and a batch
becomes floating point only when the model needs it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.pooling import quickly_pooled
from fedlearn_helpers.tasks import IMAGES, Task, normalize

__all__ = ["Evaluation", "evaluate", "normalize", "pick_device", "train"]

EVALUATION_BATCH = 250


@dataclass(frozen=True)
class Evaluation:
    """How a model does on some examples.

    Attributes:
        loss: mean loss: for images the cross-entropy in nats.
        accuracy: mean of the task's metric: for images the share of right predictions, in [0, 1].
        num_examples: how many examples were looked at.
        predictions: (num_examples,) int64, the predicted class of each example, in order.
        confidences: (num_examples,) float32, the probability the model gives its prediction.
    """

    loss: float
    accuracy: float
    num_examples: int
    predictions: Tensor
    confidences: Tensor


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
    task: Task = IMAGES,
) -> float:
    """Train the model in place on `images[indices]` and return the mean loss over all its steps.

    Args:
        model: maps float images (n, channels, height, width) to scores (n, classes).
        images: (N, channels, height, width) uint8, on the model's device; or the examples of another task.
        labels: (N,) int64, on the model's device; or that task's targets.
        indices: (n,) int64, the examples to train on.
        optimizer: holds the model's parameters.
        epochs: passes over the examples, >= 1.
        batch_size: examples a step, >= 1; the last batch of an epoch may be smaller.
        seed: decides the order of the examples.
        task: what inputs and loss are.

    Returns:
        Mean loss per example over all steps, each measured before its update.

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
            loss = task.loss(model(task.inputs(images[batch])), labels[batch])
            loss.backward()
            optimizer.step()
            total_loss += loss.detach() * len(batch)
    return total_loss.item() / (epochs * len(indices))


@quickly_pooled
@torch.no_grad()
def evaluate(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    indices: Tensor | np.ndarray | None = None,
    *,
    task: Task = IMAGES,
) -> Evaluation:
    """Evaluate the model on `images[indices]`, or on all images.

    Args:
        model: maps float images (n, channels, height, width) to scores (n, classes).
        images: (N, channels, height, width) uint8, on the model's device; or the examples of another task.
        labels: (N,) int64, on the model's device; or that task's targets.
        indices: (n,) int64, the examples to look at; None means all.
        task: what inputs, loss and metric are.

    Raises:
        InputError: no examples.
    """
    indices = torch.arange(len(images)) if indices is None else torch.as_tensor(indices)
    if len(indices) == 0:
        raise InputError("indices must name at least one example to evaluate, got none")
    model.eval()
    total_loss, predictions, confidences = 0.0, [], []
    for batch in indices.to(images.device).split(EVALUATION_BATCH):
        outputs = model(task.inputs(images[batch]))
        total_loss += task.loss(outputs, labels[batch], reduction="sum").item()
        prediction, confidence = task.predict(outputs)
        predictions.append(prediction.cpu())
        confidences.append(confidence.cpu())
    predicted = torch.cat(predictions)
    reached = task.metric(predicted, labels[indices.to(labels.device)].cpu()).double().sum().item()
    size = len(indices)
    return Evaluation(total_loss / size, reached / size, size, predicted, torch.cat(confidences))


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

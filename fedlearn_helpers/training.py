"""Local training and evaluation over tensors that hold the whole data set as uint8.

A client is a list of indices into shared tensors: nothing is copied per client, and a batch
becomes floating point only when the model needs it.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fedlearn_helpers.captured import captured
from fedlearn_helpers.device import computing_on, pick_device
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.pooling import quickly_pooled
from fedlearn_helpers.tasks import IMAGES, Task, normalize

__all__ = ["Evaluation", "evaluate", "judge", "normalize", "pick_device", "train"]

EVALUATION_BATCH, ON_A_GPU = 250, 2500  # examples at once; a GPU needs many to have something to do


@dataclass(frozen=True)
class Evaluation:
    """How a model does on some examples.

    A model whose outputs are not numbers, as after a training that diverged, predicts nothing: its loss and accuracy
    are nan.

    Attributes:
        loss: mean loss: for images the cross-entropy in nats.
        accuracy: mean of the task's metric: for images the share of right predictions, in [0, 1].
        num_examples: how many examples were looked at.
        predictions: (num_examples,) int64, the predicted class of each example, in order; -1 for none. Of a text
            (num_examples, length), the predicted characters.
        confidences: (num_examples,) float32, the probability the model gives its prediction; nan where it gives none.
    """

    loss: float
    accuracy: float
    num_examples: int
    predictions: Tensor
    confidences: Tensor


def _on_its_device(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function whose second argument is on the device to compute on: there, the same bits every time."""

    @functools.wraps(function)
    def on_its_device(model: nn.Module, images: Tensor, *arguments: Any, **options: Any) -> Any:
        with computing_on(images.device):
            return function(model, images, *arguments, **options)

    return on_its_device


def _in_its_dtype(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function whose first argument is a model: one of float64 gets its inputs in float64."""

    @functools.wraps(function)
    def with_inputs_cast(model: nn.Module, *arguments: Any, **options: Any) -> Any:
        dtype = next((parameter.dtype for parameter in model.parameters()), torch.float32)
        if dtype == torch.float32:
            return function(model, *arguments, **options)
        hook = model.register_forward_pre_hook(lambda _, inputs: tuple(in_dtype(tensor, dtype) for tensor in inputs))
        try:
            return function(model, *arguments, **options)
        finally:
            hook.remove()

    return with_inputs_cast


def in_dtype(inputs: Tensor, dtype: torch.dtype) -> Tensor:
    """Return inputs in a model's dtype; whole numbers, such as the tokens of a text, stay as they are."""
    return inputs.to(dtype) if inputs.is_floating_point() else inputs


@_on_its_device
@_in_its_dtype
@quickly_pooled
@captured
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


@_on_its_device
@_in_its_dtype
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
    losses, predictions, confidences = [], [], []
    for batch in indices.to(images.device).split(ON_A_GPU if images.is_cuda else EVALUATION_BATCH):
        outputs = model(task.inputs(images[batch]))
        losses.append(task.loss(outputs, labels[batch], reduction="sum"))
        prediction, confidence = task.predict(outputs)
        nothing = confidence.isnan() | outputs.reshape(len(outputs), -1).isnan().any(dim=1)
        of_each = nothing.reshape(-1, *[1] * (prediction.dim() - 1))  # an example may have many, such as characters
        predictions.append(prediction if prediction.is_floating_point() else prediction.where(~of_each, -1))
        confidences.append(confidence.where(~nothing, math.nan))
    total_loss = sum(torch.stack(losses).tolist())  # one transfer from a GPU, and not one for each batch
    predicted, sure, size = torch.cat(predictions).cpu(), torch.cat(confidences).cpu(), len(indices)
    reached = judge(predicted, sure, labels[indices.to(labels.device)].cpu(), task).sum().item()
    return Evaluation(total_loss / size, reached / size, size, predicted, sure)


def judge(predictions: Tensor, confidences: Tensor, targets: Tensor, task: Task = IMAGES) -> Tensor:
    """Return the task's metric of each example, (n,) float64; nan where the model predicts nothing.

    Args:
        predictions, confidences: of an `Evaluation`.
        targets: (n, ...) on the CPU.
        task: has the metric.
    """
    return task.metric(predictions, targets).double().masked_fill(confidences.isnan(), math.nan)

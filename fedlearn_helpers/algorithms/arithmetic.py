"""Steps on dictionaries of parameters, for algorithms that need gradients at other points than the model's own."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

NO_BUFFERS = "takes gradients at weights that are not the model's own"  # why such an algorithm cannot have any

Parameters = dict[str, Tensor]
Loss = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""The loss of a model with some parameters on a batch, a scalar: `LocalTraining.loss`, or a formula in a test."""


def gradient(loss: Loss, parameters: Mapping[str, Tensor], batch: Tensor) -> Parameters:
    """Return the gradient of the loss on a batch, at these parameters."""
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in parameters.items()}
    found = torch.autograd.grad(loss(leaves, batch), list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


def hessian_times(
    loss: Loss, parameters: Mapping[str, Tensor], batch: Tensor, vector: Mapping[str, Tensor]
) -> Parameters:
    """Return the Hessian of the loss at these parameters times a vector, exactly, without forming the Hessian.

    It differentiates the product of gradient and vector: two passes backward, and no approximation.
    """
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in parameters.items()}
    slopes = torch.autograd.grad(loss(leaves, batch), list(leaves.values()), create_graph=True)
    product: Any = sum((slope * vector[name]).sum() for name, slope in zip(leaves, slopes, strict=True))
    return dict(zip(leaves, torch.autograd.grad(product, list(leaves.values())), strict=True))


def moved(start: Mapping[str, Tensor], direction: Mapping[str, Tensor], length: float) -> Parameters:
    """Return start + length x direction, entry by entry."""
    return {name: torch.add(tensor, direction[name], alpha=length) for name, tensor in start.items()}


def mixed(first: Mapping[str, Tensor], second: Mapping[str, Tensor], share: float) -> Parameters:
    """Return share x first + (1 - share) x second, entry by entry."""
    return {name: share * tensor + (1 - share) * second[name] for name, tensor in first.items()}

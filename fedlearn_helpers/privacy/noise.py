"""Gaussian noise on a model."""

from collections.abc import Mapping

import torch
from torch import Tensor

from fedlearn_helpers.privacy.clipping import floats_of


def add_noise(state: Mapping[str, Tensor], standard_deviation: float, seed: int) -> dict[str, Tensor]:
    """Return a model plus N(0, s^2) on every number in its float tensors; whole numbers stay as they are.

    Args:
        state: tensors by name.
        standard_deviation: s, >= 0.
        seed: decides the noise, on every device the same. Whoever knows it can take the noise off again.
    """
    generator = torch.Generator().manual_seed(seed)

    def noisy(tensor: Tensor) -> Tensor:
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        return (tensor.double() + standard_deviation * noise.to(tensor.device)).to(tensor.dtype)

    return {**state, **{name: noisy(tensor) for name, tensor in floats_of(state).items()}}

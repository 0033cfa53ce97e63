"""Clipping: no client moves the server's model by more than a known length.

    clip(Delta, C) = Delta min(1, C / ||Delta||_2)

Delta is a client's update, trained minus received model, all of it as one vector. A mean of m clipped updates changes
by at most C / m where one client's update is left out and m stays: its sensitivity, which the noise is measured by.

Source: McMahan et al. 2018, https://arxiv.org/abs/1710.06963, section 2 ("flat clipping").
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from fedlearn_helpers.errors import InputError, check_number


def check_clip_norm(clip_norm: float) -> None:
    """Raise an InputError unless a bound for norms is finite and above 0."""
    check_number("clip_norm", clip_norm, "> 0 and finite", lambda norm: norm > 0)


def norm_of(update: Mapping[str, Tensor]) -> float:
    """Return ||Delta||_2: the Euclidean norm of all float tensors as one vector, computed in float64.

    Args:
        update: tensors of any shapes by name. Whole numbers, such as BatchNorm's counter, do not count.

    Raises:
        InputError: a number that is not finite.
    """
    norms = {name: torch.linalg.vector_norm(tensor.double()) for name, tensor in floats_of(update).items()}
    for name, norm in norms.items():
        if not math.isfinite(norm):
            raise InputError(f"update must have finite numbers, got nan or infinite ones in {name!r}")
    return math.hypot(*(float(norm) for norm in norms.values()))


def clip(update: Mapping[str, Tensor], clip_norm: float) -> dict[str, Tensor]:
    """Return the update, shortened to the norm C if it is longer; its direction stays.

    Args:
        update: Delta, tensors of any shapes by name. Whole numbers stay as they are.
        clip_norm: C, > 0.

    Raises:
        InputError: a clip_norm out of range, or a number that is not finite.
    """
    check_clip_norm(clip_norm)
    norm = norm_of(update)
    factor = 1.0 if norm <= clip_norm else clip_norm / norm
    return {**update, **{name: tensor * factor for name, tensor in floats_of(update).items()}}


def floats_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of floats, by name."""
    return {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}

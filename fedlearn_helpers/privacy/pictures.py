"""How much a picture that an attacker computed resembles the true one.

    PSNR(x, y) = 10 log10(1 / mean((x - y)^2))  in dB, for pixels in [0, 1]

It is the peak signal-to-noise ratio: 20 dB are errors of about 0.1 a pixel, 40 dB of 0.01, and infinity is equality.
From 20 dB on one recognizes a picture without effort; the mean color alone gives 8 to 15 dB.
"""

import itertools
import math

import torch
from torch import Tensor

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.tasks import normalize

_LARGEST_BATCH = 8  # all 8! = 40,320 orders take a tenth of a second


def to_pictures(images: Tensor) -> Tensor:
    """Return stored images, uint8 in [0, 255], or a model's inputs, float in [-1, 1], as pictures in [0, 1]."""
    inputs = images if images.is_floating_point() else normalize(images)
    return (inputs + 1) / 2


def to_inputs(pictures: Tensor) -> Tensor:
    """Return pictures in [0, 1] as inputs of a model, in [-1, 1], as `tasks.normalize` would make them."""
    return 2 * pictures - 1


def psnr(image: Tensor, other: Tensor) -> float:
    """Return the peak signal-to-noise ratio of two pictures in dB; infinite for equal ones.

    Args:
        image, other: float in [0, 1], of the same shape: one picture or a batch, which is then taken as one picture.

    Raises:
        InputError: pictures of different shapes, without pixels, not float, or with values that are not finite.
    """
    _check_pictures("image", image)
    _check_pictures("other", other)
    if image.shape != other.shape:
        raise InputError(f"other must have the shape of image, {tuple(image.shape)}, got {tuple(other.shape)}")
    error = _mean_squared_error(image, other)
    return -10 * math.log10(error) if error > 0 else math.inf


def best_order(images: Tensor, recovered: Tensor) -> Tensor:
    """Return the order in which recovered pictures fit true ones best: `recovered[order[i]]` belongs to `images[i]`.

    An attacker finds the pictures of a batch in any order. The best one has the least sum of squared errors.

    Args:
        images, recovered: (n, channels, height, width) float in [0, 1], n <= 8, since all orders are tried.

    Returns:
        (n,) int64.

    Raises:
        InputError: batches of different shapes, too many pictures, or values that are not finite.
    """
    _check_pictures("images", images)
    _check_pictures("recovered", recovered)
    if images.shape != recovered.shape:
        raise InputError(
            f"recovered must have the shape of images, {tuple(images.shape)}, got {tuple(recovered.shape)}"
        )
    if len(images) > _LARGEST_BATCH:
        raise InputError(f"images must be at most {_LARGEST_BATCH}, since all orders are tried, got {len(images)}")
    errors = [[_mean_squared_error(image, other) for other in recovered] for image in images]
    orders = itertools.permutations(range(len(images)))
    return torch.tensor(min(orders, key=lambda order: sum(errors[i][j] for i, j in enumerate(order))))


def _mean_squared_error(image: Tensor, other: Tensor) -> float:
    return (image.detach().double() - other.detach().double()).square().mean().item()


def _check_pictures(argument: str, pictures: Tensor) -> None:
    """Raise an InputError unless pictures are numbers to compare; uint8 pixels of [0, 255] would give a wrong PSNR."""
    if not isinstance(pictures, Tensor) or not pictures.is_floating_point() or pictures.numel() == 0:
        got = f"{pictures.dtype} {tuple(pictures.shape)}" if isinstance(pictures, Tensor) else repr(pictures)
        raise InputError(f"{argument} must be a float tensor of pixels in [0, 1], got {got}")
    if not pictures.isfinite().all():
        raise InputError(f"{argument} must be finite, got {int((~pictures.isfinite()).sum())} pixels that are not")

"""The last bias gradient tells the labels.

With cross-entropy over scores z = W h + b, and p = softmax(z), the gradient of one example with label y is

    dL/db_c = p_c - [c = y]

the only negative number is that of the label. For the mean loss of a batch of B examples, of which n_c have label c,

    dL/db_c = mean of p_c over the batch - n_c / B    =>    n_c = B (mean p_c - dL/db_c)

An attacker does not know the batch's p_c. While the model is untrained they hardly depend on its input, so that noise
gives nearly the same. Counts become whole by largest remainder, so that they sum up to B.

Sources: Zhao et al. 2020, https://arxiv.org/abs/2001.02610 (iDLG, one example); for batches Wainakh et al. 2021,
https://arxiv.org/abs/2105.09369, and Geng et al. 2021, https://arxiv.org/abs/2110.09074.
"""

import torch
from torch import Tensor, nn

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.privacy.victims import scores_of
from fedlearn_helpers.seeds import check_seed

_NOISE_IMAGES = 100


def label_of(last_bias_gradient: Tensor) -> int:
    """Return the label of the one example that a gradient belongs to: where the last bias gradient is least.

    Args:
        last_bias_gradient: (classes,) float, of the layer that gives the scores.

    Raises:
        InputError: not of this shape, or not finite.
    """
    _check_gradient(last_bias_gradient)
    return int(last_bias_gradient.argmin())


def softmax_on_noise(model: nn.Module, image_shape: tuple[int, int, int], seed: int) -> Tensor:
    """Return the mean of softmax over 100 images of uniform noise, (classes,) float: a guess of a batch's.

    Args:
        model: maps images in [-1, 1] to scores; it is left as it is.
        image_shape: (channels, height, width).
        seed: decides the noise.

    Raises:
        InputError: a seed out of range, or images that the model does not take.
    """
    noise = 2 * torch.rand((_NOISE_IMAGES, *image_shape), generator=torch.Generator().manual_seed(check_seed(seed))) - 1
    with torch.no_grad():
        return scores_of(model, noise).softmax(dim=1).mean(dim=0)


def labels_of_batch(last_bias_gradient: Tensor, mean_softmax: Tensor, batch_size: int) -> Tensor:
    """Return the labels of a batch, sorted, by n_c = B (mean p_c - dL/db_c) and largest remainder.

    Args:
        last_bias_gradient: (classes,) float, of the mean loss of the batch.
        mean_softmax: (classes,) float, a guess of the batch's mean probabilities, such as `softmax_on_noise`.
        batch_size: B, >= 1.

    Returns:
        (B,) int64.

    Raises:
        InputError: shapes that do not belong together, values that are not finite, or no batch.
    """
    batch_size = check_whole_number("batch_size", batch_size, 1)
    _check_gradient(last_bias_gradient)
    if mean_softmax.shape != last_bias_gradient.shape or not mean_softmax.isfinite().all():
        shape = tuple(last_bias_gradient.shape)
        raise InputError(f"mean_softmax must be finite and of shape {shape}, got {mean_softmax!r}")
    shares = (batch_size * (mean_softmax - last_bias_gradient).double()).clamp(min=0)
    shares *= batch_size / shares.sum()
    counts = shares.floor().long()
    remainders = (shares - counts).argsort(descending=True, stable=True)
    counts[remainders[: batch_size - int(counts.sum())]] += 1
    return torch.arange(len(counts)).repeat_interleave(counts)


def _check_gradient(last_bias_gradient: Tensor) -> None:
    """Raise an InputError unless this can be the gradient of the bias of a layer with two or more classes."""
    if last_bias_gradient.ndim != 1 or len(last_bias_gradient) < 2:
        raise InputError(f"last_bias_gradient must have shape (classes,), got {tuple(last_bias_gradient.shape)}")
    if not last_bias_gradient.isfinite().all():
        raise InputError(f"last_bias_gradient must be finite, got {last_bias_gradient.tolist()}")

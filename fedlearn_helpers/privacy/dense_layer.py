"""Exact: the gradient of a dense layer holds its input.

A dense layer computes z = W x + b. For one example the chain rule gives

    dL/dW_i = dL/dz_i x^T,    dL/db_i = dL/dz_i    =>    x = (dL/dW_i) / (dL/db_i)

for every unit i whose dL/db_i is not 0. In a batch both are sums over the examples: a unit that only one of them
activates gives this one away, the others give mixtures. A weight update of k steps of SGD on one example is a sum of
such gradients times the learning rate, so the quotient is the same. After Adam it is not: Adam divides every number by
its own size, all steps are about as long as the learning rate, and the quotient is the sign of x: a silhouette.

Sources: Phong et al. 2017, https://eprint.iacr.org/2017/715; for ReLU and batches Geiping et al. 2020,
https://arxiv.org/abs/2003.14053, and Boenisch et al. 2021, https://arxiv.org/abs/2112.02918.
"""

from torch import Tensor

from fedlearn_helpers.errors import InputError, check_number
from fedlearn_helpers.privacy.pictures import psnr, to_pictures


def input_of_dense_layer(weight_gradient: Tensor, bias_gradient: Tensor) -> Tensor:
    """Return x = dW_i / db_i for the unit i with the largest |db_i|: exact for one example.

    Args:
        weight_gradient: dL/dW, (units, inputs) float; or the layer's weight update.
        bias_gradient: dL/db, (units,) float; or the update of its bias.

    Returns:
        (inputs,) float.

    Raises:
        InputError: shapes that do not belong together, values that are not finite, or a bias gradient of zeros.
    """
    _check_layer(weight_gradient, bias_gradient)
    i = bias_gradient.abs().argmax()
    return weight_gradient[i] / bias_gradient[i]


def inputs_of_dense_layer(weight_gradient: Tensor, bias_gradient: Tensor) -> Tensor:
    """Return x = dW_i / db_i for every unit i with db_i != 0: what a batch's gradient offers, mixtures included.

    Args, raises: as `input_of_dense_layer`.

    Returns:
        (candidates, inputs) float, at least one and at most one for each unit.
    """
    _check_layer(weight_gradient, bias_gradient)
    active = bias_gradient != 0
    candidates = weight_gradient[active] / bias_gradient[active, None]
    return candidates[candidates.isfinite().all(dim=1)]


def share_recovered(candidates: Tensor, images: Tensor, least: float = 40.0) -> float:
    """Return the share of a batch's images that one of the candidates equals up to a small error.

    Args:
        candidates: (candidates, inputs) float, of `inputs_of_dense_layer`.
        images: (n, channels, height, width), the true ones: uint8, or the model's inputs in [-1, 1].
        least: PSNR in dB from which on an image counts as recovered.

    Raises:
        InputError: candidates that cannot be such images, or `least` not finite.
    """
    check_number("least", least, "finite, in dB", lambda least: True)
    true = to_pictures(images).flatten(start_dim=1)
    if candidates.ndim != 2 or candidates.shape[1] != true.shape[1]:
        raise InputError(f"candidates must have shape (any, {true.shape[1]}), got {tuple(candidates.shape)}")
    guesses = to_pictures(candidates)
    return sum(max(psnr(image, guess) for guess in guesses) >= least for image in true) / len(true)


def _check_layer(weight_gradient: Tensor, bias_gradient: Tensor) -> None:
    """Raise an InputError unless these can be the gradients of one dense layer."""
    if bias_gradient.ndim != 1 or len(bias_gradient) == 0:
        raise InputError(f"bias_gradient must have shape (units,), got {tuple(bias_gradient.shape)}")
    units = len(bias_gradient)
    if weight_gradient.ndim != 2 or len(weight_gradient) != units:
        raise InputError(f"weight_gradient must have shape ({units}, inputs), got {tuple(weight_gradient.shape)}")
    for name, gradient in (("weight_gradient", weight_gradient), ("bias_gradient", bias_gradient)):
        if not gradient.isfinite().all():
            raise InputError(f"{name} must be finite, got {int((~gradient.isfinite()).sum())} numbers that are not")
    if not bias_gradient.any():
        raise InputError("bias_gradient must have a number other than 0, got zeros alone")

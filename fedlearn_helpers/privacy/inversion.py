"""Gradient inversion: search for images whose gradient is the one that was sent.

Deep leakage from gradients (DLG): images x with the known labels y,

    min_x  D(g'(x), g),    g'(x) = grad_w L(w; x, y)

with L-BFGS, and the squared distance relative to the size of what was sent:

    D(g', g) = ||g' - g||^2 / ||g||^2

Relative, since a trained model's gradients are small: an absolute rule would stop at once, and look like a defence.

The cosine attack compares directions alone and prefers smooth pictures,

    min_x  1 - <g', g> / (||g'|| ||g||) + a TV(x),    TV(x) = mean of |x_right - x| + |x_below - x|

with Adam on the signs of the derivatives, and steps that become smaller. It copes better with noise, with kinks, and
where many pictures have nearly the same gradient.

Local steps: who received the update u of k steps of SGD repeats all k steps in the search ("unrolls" them):

    min_x  D(w_k(x) - w_0, u)

Sources: Zhu et al. 2019, https://arxiv.org/abs/1906.08935 (DLG); Geiping et al. 2020,
https://arxiv.org/abs/2003.14053 (cosine, signs, total variation, and unrolled steps).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from fedlearn_helpers.errors import InputError, check_one_of, check_whole_number
from fedlearn_helpers.privacy.pictures import to_inputs
from fedlearn_helpers.privacy.victims import changes, check_labels, check_steps, loss_gradient, scores_of, weights_of
from fedlearn_helpers.seeds import check_seed

METHODS = ("lbfgs", "cosine")
DEFAULT_STEPS = {"lbfgs": 600, "cosine": 600}
SMOOTHNESS = 0.01  # a, the weight of the total variation
_STEP = 0.1  # of Adam, in units of a pixel's range
_SMALLER_AT = (3 / 8, 5 / 8, 7 / 8)  # of all steps: there Adam's step becomes a tenth
_AT_ONCE = 20  # iterations of L-BFGS between two looks at the distance
_CLOSE_ENOUGH = 1e-9  # relative squared distance; float32 hardly gets closer
_SCALE = 1e4  # PyTorch's L-BFGS gives up below absolute changes of 1e-9, which is too early for a distance below 1

Distance = Callable[[Tensor], Tensor]
"""Maps pictures (n, channels, height, width) in [0, 1] to one number, which is to become small."""


def invert(
    model: nn.Module,
    gradient: Sequence[Tensor],
    labels: Tensor,
    image_shape: tuple[int, int, int],
    *,
    method: str = "lbfgs",
    seed: int,
    steps: int | None = None,
) -> Tensor:
    """Return the pictures whose gradient comes close to a given one.

    Args:
        model: has the weights at which the gradient was computed. Its training mode counts, and it is left as it is.
        gradient: one tensor for each trainable parameter, as of `gradient_of`.
        labels: (n,) int64, known or found by `labels_of_batch`: as many as there are images in the batch.
        image_shape: (channels, height, width).
        method: "lbfgs" for DLG, "cosine" for Geiping et al.
        seed: decides the pictures of uniform noise that the search starts with.
        steps: iterations, >= 1; L-BFGS does 20 at once and may stop early. None means 600.

    Returns:
        (n, channels, height, width) float in [0, 1], in any order among images of equal labels.

    Raises:
        InputError: an argument out of range, or a gradient that does not fit the model.
    """
    check_one_of("method", method, METHODS)
    steps = check_whole_number("steps", DEFAULT_STEPS[method] if steps is None else steps, 1)
    pictures = _start(model, labels, image_shape, seed)
    _check_fits("gradient", gradient, model)
    weights = weights_of(model)

    def found(pictures: Tensor) -> Sequence[Tensor]:
        return loss_gradient(model, weights, to_inputs(pictures), labels, create_graph=True)

    if method == "lbfgs":
        return _by_lbfgs(lambda x: relative_distance(found(x), gradient), pictures, steps)
    return _by_adam(lambda x: cosine_distance(found(x), gradient) + SMOOTHNESS * total_variation(x), pictures, steps)


def unroll(
    model: nn.Module,
    update: Sequence[Tensor],
    labels: Tensor,
    image_shape: tuple[int, int, int],
    *,
    local_steps: int,
    learning_rate: float,
    seed: int,
    steps: int | None = None,
) -> Tensor:
    """Return the pictures on which k steps of SGD lead to an update that comes close to a given one.

    Args:
        model: has the weights w_0 before the steps.
        update: w_k - w_0, one tensor for each trainable parameter, as of `update_of`.
        labels, image_shape, seed: as for `invert`.
        local_steps: k, >= 1, which the attacker knows, as the learning rate: the server has set both.
        learning_rate: > 0.
        steps: iterations of L-BFGS, >= 1, each k times as long as for one gradient. None means 600.

    Returns, raises: as `invert`.
    """
    local_steps = check_steps(local_steps, learning_rate)
    steps = check_whole_number("steps", DEFAULT_STEPS["lbfgs"] if steps is None else steps, 1)
    pictures = _start(model, labels, image_shape, seed)
    _check_fits("update", update, model)

    def distance(pictures: Tensor) -> Tensor:
        found = changes(model, to_inputs(pictures), labels, local_steps, learning_rate, create_graph=True)
        return relative_distance(found, update)

    return _by_lbfgs(distance, pictures, steps)


def relative_distance(found: Sequence[Tensor], given: Sequence[Tensor]) -> Tensor:
    """Return ||g' - g||^2 / ||g||^2 over all tensors: 0 for equal ones, 1 if g' is 0."""
    return _sum(found, given, lambda a, b: (a - b).square()) / _sum(given, given, torch.mul)


def cosine_distance(found: Sequence[Tensor], given: Sequence[Tensor]) -> Tensor:
    """Return 1 - the cosine of the angle between g' and g, in [0, 2]."""
    sizes = (_sum(found, found, torch.mul) * _sum(given, given, torch.mul)).sqrt()
    return 1 - _sum(found, given, torch.mul) / sizes


def total_variation(pictures: Tensor) -> Tensor:
    """Return the mean over all pixels (n, channels, height, width) of |x_right - x| + |x_below - x|."""
    right = (pictures[..., :, 1:] - pictures[..., :, :-1]).abs().sum()
    below = (pictures[..., 1:, :] - pictures[..., :-1, :]).abs().sum()
    return (right + below) / pictures.numel()


def _by_lbfgs(distance: Distance, pictures: Tensor, steps: int) -> Tensor:
    """Minimize by L-BFGS; pixels may leave [0, 1] on the way."""
    pictures = pictures.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([pictures], max_iter=_AT_ONCE, history_size=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        value = _SCALE * distance(pictures)
        (pictures.grad,) = torch.autograd.grad(value, pictures)
        return value

    for done in range(0, steps, _AT_ONCE):
        optimizer.param_groups[0]["max_iter"] = min(_AT_ONCE, steps - done)
        before = pictures.detach().clone()
        optimizer.step(closure)
        if not pictures.isfinite().all():  # a step into nowhere
            return before.clamp(0, 1)
        if distance(pictures) < _CLOSE_ENOUGH:
            break
    return pictures.detach().clamp(0, 1)


def _by_adam(distance: Distance, pictures: Tensor, steps: int) -> Tensor:
    """Minimize by Adam on the signs of the derivatives; pixels stay in [0, 1]."""
    pictures = pictures.clone().requires_grad_()
    optimizer = torch.optim.Adam([pictures], lr=_STEP)
    smaller = torch.optim.lr_scheduler.MultiStepLR(optimizer, [int(part * steps) for part in _SMALLER_AT], gamma=0.1)
    for _ in range(steps):
        (derivative,) = torch.autograd.grad(distance(pictures), pictures)
        pictures.grad = derivative.nan_to_num().sign()  # no number where no unit is active: the gradient is 0
        optimizer.step()
        smaller.step()
        with torch.no_grad():
            pictures.clamp_(0, 1)
    return pictures.detach()


def _sum(first: Sequence[Tensor], second: Sequence[Tensor], combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the sum over all numbers of what two tensors give at each place."""
    return torch.stack([combine(a, b).sum() for a, b in zip(first, second, strict=True)]).sum()


def _start(model: nn.Module, labels: Tensor, image_shape: tuple[int, int, int], seed: int) -> Tensor:
    """Return pictures of uniform noise, one for each label, after a look at the arguments."""
    generator = torch.Generator().manual_seed(check_seed(seed))
    if not isinstance(image_shape, tuple | list) or len(image_shape) != 3:
        raise InputError(f"image_shape must be channels, height and width, whole numbers >= 1, got {image_shape!r}")
    for size in image_shape:
        check_whole_number("image_shape", size, 1)
    if not isinstance(labels, Tensor) or labels.ndim != 1:
        raise InputError(f"labels must be an int64 tensor of shape (n,), got {labels!r}")
    first = next(iter(weights_of(model).values()))
    pictures = torch.rand((len(labels), *image_shape), generator=generator).to(first)
    with torch.no_grad():
        check_labels(labels, len(labels), scores_of(model, pictures).shape[-1])
    return pictures


def _check_fits(argument: str, given: Sequence[Tensor], model: nn.Module) -> None:
    """Raise an InputError unless there is a finite tensor for each trainable parameter, and one that is not zero."""
    wanted = [tuple(weight.shape) for weight in weights_of(model).values()]
    shapes = [tuple(tensor.shape) for tensor in given]
    if shapes != wanted:
        raise InputError(f"{argument} must have the shapes of the model's parameters, {wanted}, got {shapes}")
    for number, tensor in enumerate(given):
        if not tensor.isfinite().all():
            raise InputError(f"{argument} must be finite, got numbers that are not in tensor {number} of {len(shapes)}")
    if not any(tensor.any() for tensor in given):
        raise InputError(f"{argument} must have a number other than 0, got zeros alone")

"""What a client sends, and the networks it is attacked on.

    gradient    g = grad L(w)
    update      u = w_k - w_0,    w_{j+1} = w_j - lr grad L(w_j)

L is the mean cross-entropy of the client's images in [-1, 1]. Who knows w_0 and guesses the images can compute both.

Two networks are smooth, so that the gradient has derivatives of its own everywhere: the LeNet of Zhu et al. 2019,
https://arxiv.org/abs/1906.08935, and the tutorial CNN with tanh for ReLU and average for maximum in its pooling.

Normalization hides little. BatchNorm that uses its batch's own statistics after a convolution without padding takes a
constant factor and offset out of all pixels, so the gradient is the same for any brightness and contrast: an attack
finds the picture up to these two numbers.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.models import TutorialCNN
from fedlearn_helpers.seeds import check_seed

Weights = dict[str, Tensor]


def sigmoid_lenet(image_shape: tuple[int, int, int], num_classes: int, seed: int) -> nn.Sequential:
    """Return the network of the DLG paper: three convolutions of 12 channels with sigmoids, and one dense layer.

    Its weights are uniform in [-0.5, 0.5], as in the paper's code: wider than PyTorch's, which helps the attacker.

    Args:
        image_shape: (channels, height, width).
        num_classes: number of classes, >= 1.
        seed: decides the weights.

    Raises:
        InputError: an argument out of range.
    """
    channels, height, width = (check_whole_number("image_shape", size, 1) for size in image_shape)
    rows, columns = ((size + 3) // 4 for size in (height, width))  # halved twice, rounded up
    model = nn.Sequential(
        nn.Conv2d(channels, 12, kernel_size=5, stride=2, padding=2),
        nn.Sigmoid(),
        nn.Conv2d(12, 12, kernel_size=5, stride=2, padding=2),
        nn.Sigmoid(),
        nn.Conv2d(12, 12, kernel_size=5, padding=2),
        nn.Sigmoid(),
        nn.Flatten(),
        nn.Linear(12 * rows * columns, check_whole_number("num_classes", num_classes, 1)),
    )
    generator = torch.Generator().manual_seed(check_seed(seed))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.5, 0.5, generator=generator)
    return model


class SmoothTwin(nn.Module):
    """A tutorial CNN with tanh in place of ReLU and average in place of maximum pooling, and a copy of its weights."""

    def __init__(self, cnn: TutorialCNN) -> None:
        super().__init__()
        self.conv1, self.conv2 = copy.deepcopy(cnn.conv1), copy.deepcopy(cnn.conv2)
        self.pool = nn.AvgPool2d(2)
        self.fc1, self.fc2, self.fc3 = copy.deepcopy(cnn.fc1), copy.deepcopy(cnn.fc2), copy.deepcopy(cnn.fc3)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, channels, height, width) to scores (n, num_classes), as the CNN does."""
        x = self.pool(torch.tanh(self.conv1(images)))
        x = self.pool(torch.tanh(self.conv2(x)))
        x = x.flatten(start_dim=1)
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        return self.fc3(x)


def smooth_twin(cnn: TutorialCNN) -> SmoothTwin:
    """Return the smooth network with the weights of a tutorial CNN, as it comes or with normalization.

    Raises:
        InputError: another network.
    """
    if not isinstance(cnn, TutorialCNN):
        raise InputError(f"cnn must be a TutorialCNN, got {type(cnn).__name__}")
    return SmoothTwin(cnn)


def gradient_of(model: nn.Module, images: Tensor, labels: Tensor) -> list[Tensor]:
    """Return the gradient of the mean cross-entropy, one tensor for each parameter, in the order of the model.

    Args:
        model: its weights and running statistics stay as they are.
        images: (n, channels, height, width) float in [-1, 1], as of `tasks.normalize`.
        labels: (n,) int64, in [0, classes).

    Raises:
        InputError: images or labels that do not fit each other or the model.
    """
    _check_examples(model, images, labels)
    return [gradient.detach() for gradient in loss_gradient(model, weights_of(model), images, labels)]


def update_of(model: nn.Module, images: Tensor, labels: Tensor, local_steps: int, learning_rate: float) -> list[Tensor]:
    """Return the weight update w_k - w_0 after k steps of SGD, each on all the images.

    Args:
        model: has the weights w_0, and keeps them.
        images, labels: as for `gradient_of`.
        local_steps: k, >= 1.
        learning_rate: > 0.

    Raises:
        InputError: an argument out of range.
    """
    local_steps = check_steps(local_steps, learning_rate)
    _check_examples(model, images, labels)
    return [change.detach() for change in changes(model, images, labels, local_steps, learning_rate)]


def as_gradient(update: Sequence[Tensor], local_steps: int, learning_rate: float) -> list[Tensor]:
    """Return -u / (k lr): an update taken as if it were one gradient. It is one if k = 1.

    Raises:
        InputError: an argument out of range.
    """
    local_steps = check_steps(local_steps, learning_rate)
    return [-change / (local_steps * learning_rate) for change in update]


def changes(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    local_steps: int,
    learning_rate: float,
    *,
    create_graph: bool = False,
) -> list[Tensor]:
    """Return w_k - w_0, through which one can differentiate with respect to the images if a graph is created."""
    first = weights_of(model)
    weights = first
    for _ in range(local_steps):
        gradients = loss_gradient(model, weights, images, labels, create_graph=create_graph)
        weights = {
            name: weight - learning_rate * gradient
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }
    return [last - before for last, before in zip(weights.values(), first.values(), strict=True)]


def loss_gradient(
    model: nn.Module, weights: Weights, images: Tensor, labels: Tensor, *, create_graph: bool = False
) -> tuple[Tensor, ...]:
    """Return the gradient of the mean cross-entropy at given weights, which must require gradients."""
    loss = F.cross_entropy(scores_of(model, images, weights), labels)
    return torch.autograd.grad(loss, list(weights.values()), create_graph=create_graph)


def weights_of(model: nn.Module) -> Weights:
    """Return the trainable parameters of a model by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def scores_of(model: nn.Module, images: Tensor, weights: Weights | None = None) -> Tensor:
    """Return a model's scores, at other weights if they are given; its running statistics stay as they are.

    Raises:
        InputError: images that the model does not take.
    """
    statistics = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        return torch.func.functional_call(model, {**statistics, **(weights or {})}, (images,))
    except (RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise InputError(f"images must be what the model takes, got {tuple(images.shape)} ({said})") from None


def _check_examples(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Raise an InputError unless these are examples of the model."""
    if not images.isfinite().all():
        raise InputError(f"images must be finite, got {int((~images.isfinite()).sum())} pixels that are not")
    with torch.no_grad():
        check_labels(labels, len(images), scores_of(model, images).shape[-1])


def check_labels(labels: Tensor, count: int, classes: int) -> None:
    """Raise an InputError unless labels are (count,) int64 in [0, classes)."""
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (count,) or count < 1:
        got = f"{labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else repr(labels)
        raise InputError(f"labels must be an int64 tensor of shape ({max(count, 1)},), got {got}")
    if not (0 <= int(labels.min()) and int(labels.max()) < classes):
        raise InputError(f"labels must be between 0 and {classes - 1}, got {labels.tolist()}")


def check_steps(local_steps: object, learning_rate: object) -> int:
    """Return the number of steps; raise an InputError if it or the learning rate is out of range."""
    check_number("learning_rate", learning_rate, "> 0", lambda rate: rate > 0)
    return check_whole_number("local_steps", local_steps, 1)

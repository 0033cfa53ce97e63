"""The tutorial CNN, smaller networks, and what they weigh."""

import math
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.seeds import seeded

_HIDDEN_UNITS = 64


class TutorialCNN(nn.Module):
    """The CNN of PyTorch's and Flower's CIFAR-10 tutorials, for any channels, image size and classes.

    Two blocks of 5x5 convolution, ReLU and 2x2 max-pooling, then three linear layers.
    62,006 parameters on 3x32x32 images with ten classes.

    Args:
        channels: colour channels, 1 for grey, 3 for RGB.
        height, width: image size in pixels, each >= 16 (below that nothing is left after pooling).
        num_classes: number of classes.

    Raises:
        InputError: an image smaller than 16 pixels on a side.
    """

    def __init__(self, channels: int, height: int, width: int, num_classes: int) -> None:
        if min(height, width) < 16:
            raise InputError(f"image height and width must be >= 16 pixels for this CNN, got {height}x{width}")
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6, kernel_size=5)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.pool = nn.MaxPool2d(2)
        rows, columns = (((size - 4) // 2 - 4) // 2 for size in (height, width))
        self.fc1 = nn.Linear(16 * rows * columns, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, channels, height, width) to scores (n, num_classes), one per class, before softmax."""
        x = self.pool(F.relu(self.conv1(images)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.flatten(start_dim=1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def new_cnn(image_shape: tuple[int, int, int], num_classes: int, seed: int) -> TutorialCNN:
    """Return a TutorialCNN for images of shape (channels, height, width); its weights depend on the seed alone."""
    _check_sizes(image_shape, num_classes)
    with seeded(seed):
        return TutorialCNN(*image_shape, num_classes)


def new_mlp(image_shape: tuple[int, int, int], num_classes: int, seed: int) -> nn.Sequential:
    """Return a network with one hidden layer of 64 units; its weights depend on the seed alone.

    It learns less than the CNN and takes a fifth of the time for a step: for comparisons with many federations.

    Args:
        image_shape: (channels, height, width).
        num_classes: number of classes.
        seed: decides the weights.
    """
    _check_sizes(image_shape, num_classes)
    with seeded(seed):
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(image_shape), _HIDDEN_UNITS),
            nn.ReLU(),
            nn.Linear(_HIDDEN_UNITS, num_classes),
        )


def _check_sizes(image_shape: tuple[int, int, int], num_classes: int) -> None:
    """Raise an InputError unless there can be such images and so many classes."""
    whole = isinstance(image_shape, tuple | list) and all(isinstance(size, int) for size in image_shape)
    if not whole or len(image_shape) != 3 or min(image_shape) < 1:
        raise InputError(f"image_shape must be channels, height and width, whole numbers >= 1, got {image_shape!r}")
    check_whole_number("num_classes", num_classes, 1)


class _BatchNorm(nn.BatchNorm1d):
    """BatchNorm that can train on a batch of one, such as the last of an epoch: by its running statistics."""

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or len(features) > 1:
            return super().forward(features)
        return F.batch_norm(features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def _normalized_mlp(image_shape: tuple[int, int, int], num_classes: int, seed: int) -> nn.Sequential:
    flatten, hidden, relu, scores = new_mlp(image_shape, num_classes, seed)
    return nn.Sequential(flatten, hidden, _BatchNorm(_HIDDEN_UNITS), relu, scores)


def _normalized_cnn(image_shape: tuple[int, int, int], num_classes: int, seed: int) -> TutorialCNN:
    model = new_cnn(image_shape, num_classes, seed)
    for name in ("conv1", "conv2"):
        convolution = getattr(model, name)
        setattr(model, name, nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels)))
    return model


NewModel = Callable[[tuple[int, int, int], int, int], nn.Module]
MODELS: dict[str, NewModel] = {"cnn": new_cnn, "mlp": new_mlp}
NORMALIZED_MODELS: dict[str, NewModel] = {"cnn": _normalized_cnn, "mlp": _normalized_mlp}
"""The same networks with BatchNorm before their first ReLUs, and the same first weights."""


def copy_of_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a model's state dict, which stays as it is when the model trains on."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable numbers in the model."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def count_bytes(model: nn.Module) -> int:
    """Return the bytes of all weights and buffers: what one copy of the model costs to send."""
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())

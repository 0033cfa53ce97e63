"""A backdoor: the model works as it should, until an image shows the trigger; then it says what the attacker wants.

    a share of the attacker's training images:  the trigger is stamped on, and the label becomes the target
    success = share of the other classes' test images that are called the target once the trigger is stamped on

The test accuracy does not see it. Where no attack was, success is the rate at which images are called the target
anyway.

Sources: Gu et al. 2017 (BadNets), https://arxiv.org/abs/1708.06733; in a federation Bagdasaryan et al. 2020,
https://arxiv.org/abs/1807.00459.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.robustness.attacks.clients import check_clients, check_only_theirs
from fedlearn_helpers.seeds import check_seed, derive_seed
from fedlearn_helpers.training import evaluate

_WHITE = 255


SQUARE = tuple((row, column) for row in range(1, 4) for column in range(1, 4))
"""A square of 3 x 3 pixels near the upper left corner."""


@dataclass(frozen=True)
class Trigger:
    """White pixels near the upper left corner of an image, and what images with them are to be called.

    Attributes:
        target: the class, from 0.
        pixels: (row, column) of each white pixel, counted from 0 in the upper left corner; at least one, each once.
            Their order decides nothing.

    Raises:
        InputError: an attribute out of range.
    """

    target: int = 0
    pixels: tuple[tuple[int, int], ...] = SQUARE

    def __post_init__(self) -> None:
        check_whole_number("target", self.target, 0)
        object.__setattr__(self, "pixels", _check_pixels(self.pixels))

    def stamp(self, images: Tensor) -> Tensor:
        """Return a copy of images (n, channels, height, width) uint8 with the pixels white in each, in all channels."""
        images = images.clone()
        for row, column in self.pixels:
            images[:, :, row, column] = _WHITE
        return images

    def check(self, dataset: ImageDataset) -> None:
        """Raise an InputError if the data set has no such class, or a pixel is outside its images."""
        if self.target >= dataset.num_classes:
            raise InputError(f"target must be a class, 0 to {dataset.num_classes - 1}, got {self.target}")
        height, width = dataset.image_shape[1:]
        for row, column in self.pixels:
            if row >= height or column >= width:
                raise InputError(
                    f"pixels must be in rows 0 to {height - 1} and columns 0 to {width - 1}, got {(row, column)}"
                )


def _check_pixels(pixels: Any) -> tuple[tuple[int, int], ...]:
    """Return (row, column) of pixels in ascending order; raise an InputError if they are not that."""
    try:
        places = [
            (check_whole_number("row", row, 0), check_whole_number("column", column, 0)) for row, column in pixels
        ]
    except (TypeError, ValueError):  # InputError is a ValueError
        places = []
    if not places or len(set(places)) < len(places):
        raise InputError(
            f"pixels must be at least one pair (row, column) of whole numbers >= 0, each once, got {pixels!r}"
        )
    return tuple(sorted(places))


def plant_backdoor(
    dataset: ImageDataset,
    shards: Sequence[Shard],
    attackers: Collection[int],
    trigger: Trigger = Trigger(),  # noqa: B008 - frozen
    *,
    share: float = 0.5,
    seed: int,
) -> ImageDataset:
    """Return a data set in which a share of each attacker's training images have the trigger and its label.

    Validation and test images stay as they are.

    Args:
        dataset: stays as it is.
        shards: one per client.
        attackers: numbers of clients, from 0; may be empty.
        trigger: what is stamped on.
        share: in (0, 1]; rounded to whole images.
        seed: together with the client it decides which images.

    Raises:
        InputError: an argument out of range, or attackers whose training examples an honest client has, too.
    """
    attackers = check_clients("attackers", attackers, len(shards))
    check_number("share", share, "> 0 and <= 1", lambda number: 0 < number <= 1)
    trigger.check(dataset)
    check_only_theirs(shards, attackers)
    seed = check_seed(seed)
    if not attackers:
        return dataset
    images, labels = dataset.train_images.clone(), dataset.train_labels.clone()
    for attacker in attackers:
        own = shards[attacker].train
        generator = np.random.default_rng(derive_seed(seed, "backdoor", attacker))
        chosen = torch.as_tensor(generator.choice(own, round(share * len(own)), replace=False), device=labels.device)
        images[chosen], labels[chosen] = trigger.stamp(images[chosen]), trigger.target
    return replace(dataset, train_images=images, train_labels=labels)


def backdoor_success(model: nn.Module, dataset: ImageDataset, trigger: Trigger = Trigger()) -> float:  # noqa: B008
    """Return the share, in [0, 1], of the other classes' test images that the model calls the target with the trigger.

    Args:
        model: on the data set's device.
        dataset: has the test images.
        trigger: that of the attack.

    Raises:
        InputError: a trigger that the data set has no class or no pixel for, or no test image of another class.
    """
    trigger.check(dataset)
    others = dataset.test_labels != trigger.target
    if not others.any():
        raise InputError(f"dataset must have test images of other classes than the target {trigger.target}, got none")
    images, labels = trigger.stamp(dataset.test_images[others]), dataset.test_labels[others]
    predictions = evaluate(model, images, labels, task=dataset.task).predictions
    return float((predictions == trigger.target).double().mean())

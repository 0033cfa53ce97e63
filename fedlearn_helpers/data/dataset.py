"""What every loader returns: examples and targets in tensors, split into train and test."""

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from fedlearn_helpers.device import computing_on
from fedlearn_helpers.tasks import IMAGES, Task


class Dataset(Protocol):
    """What a federation learns from: `ImageDataset`, `Examples`, or whatever has these attributes.

    Attributes:
        name: how it was asked for.
        task: how its examples become a model's inputs, and how outputs are judged.
        train_inputs, test_inputs: (N, ...) and (M, ...) examples as they are stored.
        train_targets, test_targets: (N, ...) and (M, ...) what is to be learned of each.
    """

    @property
    def name(self) -> str:
        """How it was asked for."""
        ...

    @property
    def task(self) -> Task:
        """What is learned."""
        ...

    @property
    def train_inputs(self) -> Tensor:
        """Training examples."""
        ...

    @property
    def train_targets(self) -> Tensor:
        """Their targets."""
        ...

    @property
    def test_inputs(self) -> Tensor:
        """Test examples."""
        ...

    @property
    def test_targets(self) -> Tensor:
        """Their targets."""
        ...


@dataclass(frozen=True)
class Examples:
    """A data set for any task, such as the rows of a table; its attributes are those of `Dataset`."""

    name: str
    task: Task
    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor


@dataclass(frozen=True)
class ImageDataset:
    """A labelled image data set.

    Tensors on the CPU are backed by a memory-mapped file where the data came through the cache,
    so that several processes share one copy.

    Attributes:
        name: how it was asked for.
        train_images: (N, channels, height, width) uint8.
        train_labels: (N,) int64 in [0, len(class_names)).
        test_images: (M, channels, height, width) uint8.
        test_labels: (M,) int64.
        class_names: one name per label.
        origin: one sentence: where the pixels came from and what was done to them.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    class_names: tuple[str, ...]
    origin: str

    @property
    def task(self) -> Task:
        """Images with a class each."""
        return IMAGES

    @property
    def train_inputs(self) -> Tensor:
        """The training images."""
        return self.train_images

    @property
    def train_targets(self) -> Tensor:
        """Their labels."""
        return self.train_labels

    @property
    def test_inputs(self) -> Tensor:
        """The test images."""
        return self.test_images

    @property
    def test_targets(self) -> Tensor:
        """Their labels."""
        return self.test_labels

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    def to(self, device: torch.device | str) -> "ImageDataset":
        """Return the data set with its tensors on `device`, still uint8; on the same device nothing is copied.

        Raises:
            InputError: it does not fit into the memory of a GPU.
        """
        fields = ("train_images", "train_labels", "test_images", "test_labels")
        with computing_on(torch.device(device)):
            return replace(self, **{name: getattr(self, name).to(device) for name in fields})

    def __str__(self) -> str:
        channels, height, width = self.image_shape
        return (
            f"{self.name}: {len(self.train_images):,} training and {len(self.test_images):,} test images, "
            f"{channels} x {height} x {width} pixels, {self.num_classes} classes.\n{self.origin}"
        )

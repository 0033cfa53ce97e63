"""What every loader returns: images and labels in tensors, split into train and test."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


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
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        return tuple(self.train_images.shape[1:])

    def to(self, device: torch.device | str) -> "ImageDataset":
        """Return the data set with its tensors on `device`, still uint8; on the same device nothing is copied."""
        fields = ("train_images", "train_labels", "test_images", "test_labels")
        return replace(self, **{name: getattr(self, name).to(device) for name in fields})

    def __str__(self) -> str:
        channels, height, width = self.image_shape
        return (
            f"{self.name}: {len(self.train_images):,} training and {len(self.test_images):,} test images, "
            f"{channels} x {height} x {width} pixels, {self.num_classes} classes.\n{self.origin}"
        )

"""Images of noise, clients that hold some of them, and how far two models are apart."""

import numpy as np
import torch

from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.partition import Shard


def noise_images(train, test):
    """Return so many training and test images of 16 x 16 pixels, of three classes."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (train + test, 1, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.randint(3, (train + test,), generator=generator)
    parts = images[:train], labels[:train], images[train:], labels[train:]
    return ImageDataset("noise", *parts, ("a", "b", "c"), "Noise.")


def shards(sizes):
    """Return clients with so many training images each, one after the other; all validate on the images 72 to 79."""
    bounds = np.cumsum((0, *sizes))
    return [Shard(np.arange(a, b), np.arange(72, 80)) for a, b in zip(bounds, bounds[1:], strict=False)]


def distance(first, second):
    """Return the largest difference between two models' parameters, given by name."""
    return max(float((first[name] - second[name]).abs().max()) for name in first)

"""Image data sets as uint8 tensors: embedded, downloaded once, or your own folder."""

from fedlearn_helpers.data.dataset import ImageDataset
from fedlearn_helpers.data.load import KNOWN_DATASETS, load_dataset

__all__ = ["KNOWN_DATASETS", "ImageDataset", "load_dataset"]

"""Image data sets as uint8 tensors: embedded, downloaded once, or your own folder."""

from fedlearn_helpers.data.dataset import Dataset, Examples, ImageDataset
from fedlearn_helpers.data.load import KNOWN_DATASETS, load_dataset

__all__ = ["KNOWN_DATASETS", "Dataset", "Examples", "ImageDataset", "load_dataset"]

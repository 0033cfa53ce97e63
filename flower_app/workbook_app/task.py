"""What server and clients have in common: the images, who holds which, and the model."""

from functools import lru_cache

from fedlearn_helpers.data import ImageDataset, load_dataset
from fedlearn_helpers.experiments import make_scenario
from fedlearn_helpers.models import TutorialCNN, new_cnn
from fedlearn_helpers.partition import Shard
from workbook_app.settings import RunConfig


@lru_cache(maxsize=1)
def load_images(name: str) -> ImageDataset:
    """Return the data set, on the CPU; it is loaded once per process, however many clients take turns there."""
    return load_dataset(name)


def new_model(config: RunConfig) -> TutorialCNN:
    """Return the CNN with the weights that all clients start from; they depend on the seed alone."""
    images = load_images(config.dataset)
    return new_cnn(images.image_shape, images.num_classes, config.seed)


def new_shards(config: RunConfig, num_clients: int) -> list[Shard]:
    """Deal the training images out to the clients, as `make_scenario` does in the notebooks.

    Raises:
        InputError: the partition cannot be made, or a client would have fewer than 2 images.
    """
    images, most = load_images(config.dataset), config.max_images or None
    return make_scenario(config.partition, images, num_clients=num_clients, max_images=most, seed=config.seed).members

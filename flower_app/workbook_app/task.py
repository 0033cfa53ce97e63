"""What server and clients have in common: the images, who holds which, and the model."""

from functools import lru_cache

from fedlearn_helpers.data import ImageDataset, load_dataset
from fedlearn_helpers.models import TutorialCNN, new_cnn
from fedlearn_helpers.partition import Shard, parse_partition, split_train_validation
from workbook_app.settings import RunConfig

VALIDATION_FRACTION = 0.2


@lru_cache(maxsize=1)
def load_images(name: str) -> ImageDataset:
    """Return the data set, on the CPU; it is loaded once per process, however many clients take turns there."""
    return load_dataset(name)


def new_model(config: RunConfig) -> TutorialCNN:
    """Return the CNN with the weights that all clients start from; they depend on the seed alone."""
    images = load_images(config.dataset)
    return new_cnn(images.image_shape, images.num_classes, config.seed)


def new_shards(config: RunConfig, num_clients: int) -> list[Shard]:
    """Deal the training images out to the clients; "iid" is what notebook 02 does.

    Raises:
        InputError: the partition cannot be made, or a client would have fewer than 2 images.
    """
    labels = load_images(config.dataset).train_labels.numpy()
    shares = parse_partition(config.partition).make(labels, num_clients, seed=config.seed)
    return split_train_validation(shares, validation_fraction=VALIDATION_FRACTION, seed=config.seed)

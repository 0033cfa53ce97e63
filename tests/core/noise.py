"""Images of noise, clients that hold some of them, and how far two models are apart."""

import numpy as np
import torch
from flwr.app import Error, Message

from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.models import new_mlp
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.simulation.position import client_of, training_round

SIZES = (12, 20, 40)  # training images of the clients of `federation`


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


def federation(noise, num_rounds=3, algorithm="fedavg", **options):
    """Run a federation of three clients with a small network."""
    model = new_mlp(noise.image_shape, noise.num_classes, 0)
    common = {"local_config": LocalConfig(batch_size=4), "seed": 0, "workers": 1, "label": None, "model": model}
    return federate(algorithm, noise, shards(SIZES), num_rounds=num_rounds, **(common | options))


def weights_of(result):
    """Return the server's model of a federation, by name."""
    return result.model.to_torch_state_dict()


def distance(first, second):
    """Return the largest difference between two models' parameters, given by name."""
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def changing(change):
    """Return a mod that changes what client 1 sends in round 2."""

    def mod(message, context, call_next):
        server_round = training_round(message.content)
        answer = call_next(message, context)
        if (client_of(context), server_round) == (1, 2):
            change(answer.content)
        return answer

    return mod


def fail(content):
    """Change what a client sends into an error."""
    raise RuntimeError("battery empty")


def failing(client, server_round):
    """Return a mod whose client fails in one round, after it has trained."""

    def fail_then(message, context, call_next):
        reply = call_next(message, context)
        if (client_of(context), training_round(message.content)) == (client, server_round):
            return Message(Error(100, "away"), reply_to=message)
        return reply

    return fail_then

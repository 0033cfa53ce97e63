"""The work that is timed: a federation of notebook 02's clients, on made-up images that can be learned."""

import math
import statistics
import time
from dataclasses import dataclass, replace

import torch
from flwr.app import ArrayRecord, MetricRecord
from flwr.serverapp.strategy import FedAvg
from probes.federation import new_server_app
from torch import nn
from torchvision.models import resnet18

from fedlearn_helpers.data import ImageDataset, load_dataset
from fedlearn_helpers.experiments import basic_client
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.partition import Shard, iid
from fedlearn_helpers.seeds import seeded
from fedlearn_helpers.simulation import History, simulate
from gpu import eager

SHAPE, CLASSES, SEED = (3, 32, 32), 10, 0
BATCH_SIZE, LEARNING_RATE = 32, 1e-3


def new_model(name: str) -> nn.Module:
    """Return the tutorials' CNN, 62,006 parameters, or a ResNet-18, 11 million; the same weights each time."""
    if name == "cnn":
        return new_cnn(SHAPE, CLASSES, SEED)
    with seeded(SEED):
        return resnet18(num_classes=CLASSES)


@dataclass(frozen=True)
class Work:
    """A federation with Adam, one local epoch a round, in batches of 32.

    Attributes:
        model: "cnn" or "resnet18".
        clients, participants: how many there are, and how many train in a round.
        images: that each trains on.
        validation: images on which each measures the model in every round; 0 for no such measurement.
        tests: images on which the server measures it in every round.
        rounds: so many.
    """

    model: str
    clients: int
    participants: int
    images: int
    validation: int
    tests: int
    rounds: int

    @property
    def steps_a_round(self) -> int:
        """Steps of all clients in one round."""
        return self.participants * math.ceil(self.images / BATCH_SIZE)

    def dataset(self) -> ImageDataset:
        """Return random images with a pattern for each class; the same ones each time."""
        generator = torch.Generator().manual_seed(SEED)
        patterns = torch.randint(0, 128, (CLASSES, *SHAPE), dtype=torch.uint8, generator=generator)
        parts = []
        for count in (self.clients * (self.images + self.validation), self.tests):
            labels = torch.randint(0, CLASSES, (count,), generator=generator)
            noise = torch.randint(0, 128, (count, *SHAPE), dtype=torch.uint8, generator=generator)
            parts += [noise + patterns[labels], labels]
        names = tuple(str(number) for number in range(CLASSES))
        return ImageDataset("made up", *parts, names, "Random numbers.")

    def shards(self, dataset: ImageDataset) -> list[Shard]:
        """Return who has which images."""
        parts = iid(len(dataset.train_labels), self.clients, seed=SEED)
        return [Shard(part[: self.images], part[self.images :]) for part in parts]


TALK = Work("cnn", clients=10, participants=10, images=4000, validation=1000, tests=10_000, rounds=10)


@dataclass(frozen=True)
class Place:
    """Where a job runs, and how much of it.

    Attributes:
        device: "cuda"; or "cpu", to try the jobs out where there is no GPU.
        quick: small sizes.
    """

    device: str
    quick: bool

    def of(self, work: Work) -> Work:
        """Return the work in this size."""
        if not self.quick:
            return work
        clients, images = (3, 2 * BATCH_SIZE + 8) if work.model == "cnn" else (2, BATCH_SIZE)
        fewer = replace(work, clients=min(work.clients, clients), images=min(work.images, images))
        return replace(fewer, participants=fewer.clients, tests=50, rounds=min(work.rounds, 2))

    def steps(self, many: int) -> int:
        """Return how many steps to time."""
        return min(many, 4) if self.quick else many


def embedded_images(place: Place) -> ImageDataset:
    """Return the embedded data set, or a part of it."""
    dataset = load_dataset("fashion")
    if not place.quick:
        return dataset
    few = slice(0, 500)
    return replace(
        dataset,
        train_images=dataset.train_images[few],
        train_labels=dataset.train_labels[few],
        test_images=dataset.test_images[few],
        test_labels=dataset.test_labels[few],
    )


@dataclass(frozen=True)
class Run:
    """What a federation took.

    Attributes:
        seconds: from the first message to the last.
        seconds_a_round: median of the second and later rounds; where there is one round, that one.
        accuracy: of the last model on the test images, in [0, 1].
        history: all of it.
    """

    seconds: float
    seconds_a_round: float
    accuracy: float
    history: History


def run(work: Work, dataset: ImageDataset, *, workers: int | str, as_before: bool = False) -> Run:
    """Run the federation where the data set is.

    Args:
        work: what to do.
        dataset: its data set, on the device to compute on.
        workers: as in `simulate`.
        as_before: train and measure kernel by kernel, whatever the package does by now.
    """
    device = dataset.train_images.device
    model, server_model = (new_model(work.model).to(device) for _ in range(2))
    times, accuracies = [], []
    evaluate = eager.evaluate if as_before else basic_client.evaluate

    def evaluate_on_test(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        server_model.load_state_dict(arrays.to_torch_state_dict())
        accuracies.append(evaluate(server_model, dataset.test_images, dataset.test_labels).accuracy)
        times.append(time.perf_counter())
        return MetricRecord({"accuracy": accuracies[-1]})

    strategy = FedAvg(
        fraction_train=work.participants / work.clients,
        min_train_nodes=work.participants,
        fraction_evaluate=1.0 if work.validation else 0.0,
    )
    server_app = new_server_app(strategy, ArrayRecord(model.state_dict()), work.rounds, evaluate_on_test)
    with eager.replaced(basic_client) if as_before else eager.nothing_replaced():
        client_app = basic_client.make_client_app(
            dataset,
            work.shards(dataset),
            model,
            local_epochs=1,
            batch_size=BATCH_SIZE,
            learning_rate=LEARNING_RATE,
            seed=SEED,
        )
        start = time.perf_counter()
        history = simulate(server_app, client_app, num_clients=work.clients, seed=SEED, workers=workers, label=None)
    rounds = [after - before for before, after in zip(times, times[1:], strict=False)]
    return Run(time.perf_counter() - start, statistics.median(rounds[1:] or rounds), accuracies[-1], history)

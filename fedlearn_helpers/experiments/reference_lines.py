"""The two lines that every federated result is measured against: local only, and centralized.

Both train the same model from the same start for the same number of epochs.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.experiments.parallel import Numbers, side_by_side
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.simulation.workers import Workers
from fedlearn_helpers.training import evaluate, train


@dataclass(frozen=True)
class ReferenceLines:
    """What training without a federation reaches; accuracies in [0, 1].

    Attributes:
        centralized_test: one model trained on all clients' training examples, on the test set.
        centralized_validation: the same model on each client's validation examples.
        local_test: each client's own model, trained on its examples alone, on the test set.
        local_validation: the same models, each on its own client's validation examples.
        seconds: wall time of all of it.
    """

    centralized_test: float
    centralized_validation: tuple[float, ...]
    local_test: tuple[float, ...]
    local_validation: tuple[float, ...]
    seconds: float

    @property
    def local_test_mean(self) -> float:
        """Average test accuracy of the clients' own models."""
        return float(np.mean(self.local_test))


def reference_lines(
    dataset: ImageDataset,
    shards: Sequence[Shard],
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    workers: Workers = "auto",
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    model: nn.Module | None = None,
    newcomers: Sequence[Shard] = (),
    label: str | None = "Learning alone",
) -> ReferenceLines:
    """Train one model on all clients' training examples together, and one on each client's alone.

    Args:
        dataset: all images, on the device to compute on.
        shards: one per client.
        epochs: passes over the examples, >= 1: rounds x local epochs of the federation.
        batch_size: images a step.
        learning_rate: of the optimizer, which keeps its state from epoch to epoch.
        seed: the start and the order of the examples.
        workers: as in `simulate`.
        optimizer: called with the parameters, `lr` and `fused`.
        model: with the weights to start from; None means the workbook's CNN.
        newcomers: further clients, last in the results. They learn alone, too, but their images are not in the pool.
        label: what the progress line counts; None for no such line.
    """
    begin = time.perf_counter()
    pooled = np.concatenate([shard.train for shard in shards])
    everyone = [*shards, *newcomers]
    learners = [pooled, *(shard.train for shard in everyone)]  # the longest first, so that no worker ends alone
    if model is None:
        model = new_cnn(dataset.image_shape, dataset.num_classes, seed).to(dataset.train_images.device)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def learn_alone(learner: int) -> Numbers:
        model.load_state_dict(start)
        steps = optimizer(model.parameters(), lr=learning_rate, fused=True)
        images, labels = dataset.train_images, dataset.train_labels
        for epoch in range(epochs):
            order = derive_seed(seed, "alone", learner, epoch)
            train(model, images, labels, learners[learner], steps, epochs=1, batch_size=batch_size, seed=order)
        own = everyone if learner == 0 else [everyone[learner - 1]]
        return {
            "test": evaluate(model, dataset.test_images, dataset.test_labels).accuracy,
            "validation": [evaluate(model, images, labels, shard.validation).accuracy for shard in own],
        }

    central, *alone = side_by_side(learn_alone, len(learners), seed=seed, workers=workers, label=label)
    return ReferenceLines(
        centralized_test=central["test"],
        centralized_validation=tuple(central["validation"]),
        local_test=tuple(client["test"] for client in alone),
        local_validation=tuple(client["validation"][0] for client in alone),
        seconds=time.perf_counter() - begin,
    )

"""The two lines that every federated result is measured against: local only, and centralized.

Both train the same model from the same start, for as many epochs as the federation has, and on request until they stop
improving: who learns alone need not wait for others, and may train on.
"""

import copy
import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from fedlearn_helpers.data import Dataset, ImageDataset
from fedlearn_helpers.errors import InputError, check_number, check_whole_number, one_line
from fedlearn_helpers.experiments.parallel import Numbers, run_in_parallel
from fedlearn_helpers.models import copy_of_weights, new_cnn
from fedlearn_helpers.partition import Shard, trim_last_batch
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
        centralized_epochs, local_epochs: passes over the examples after which these models were taken.
        early_stopping: the same lines of models that trained until they stopped improving; None if not asked for. Their
            epoch was chosen on the validation examples, so accuracies there are a little too good; those on the test
            set are not.
    """

    centralized_test: float
    centralized_validation: tuple[float, ...]
    local_test: tuple[float, ...]
    local_validation: tuple[float, ...]
    seconds: float
    centralized_epochs: int = 0
    local_epochs: tuple[int, ...] = ()
    early_stopping: "ReferenceLines | None" = None

    @property
    def local_test_mean(self) -> float:
        """Average test accuracy of the clients' own models."""
        return float(np.mean(self.local_test))


def reference_lines(
    dataset: Dataset,
    shards: Sequence[Shard],
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    workers: Workers = "auto",
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    model: nn.Module | None = None,
    unseen: Sequence[Shard] = (),
    patience: int | None = None,
    trim: bool = False,
    label: str | None = "Learning alone",
) -> ReferenceLines:
    """Train one model on all clients' training examples together, and one on each client's alone.

    With `patience` each goes on until its accuracy on its validation examples (of the pooled model: those of all
    clients) has not risen for so many epochs, and the model of the best epoch is taken: `early_stopping`.

    Args:
        dataset: all examples, on the device to compute on.
        shards: one per client.
        epochs: passes over the examples, >= 1: rounds x local epochs of the federation.
        batch_size: examples a step.
        learning_rate: of the optimizer, which keeps its state from epoch to epoch.
        seed: the start and the order of the examples.
        workers: as in `simulate`.
        optimizer: called with the parameters, `lr` and `fused`.
        model: with the weights to start from, stays as it is; None means the workbook's CNN, for images.
        unseen: further clients, last in the results. They learn alone, too, but their examples are not pooled.
        patience: epochs without improvement, >= 1, after which early stopping ends; None for no early stopping.
        trim: whether the learners, the pooled model among them, leave out the few examples that would make a small last
            batch; see `trim_last_batch`. Shards that are trimmed stay as they are.
        label: what the progress line counts; None for no such line.

    Raises:
        InputError: a number out of range; or no model, and the data are no images; or early stopping for a client
            that has no validation examples.
    """
    check_whole_number("epochs", epochs, 1)
    check_whole_number("batch_size", batch_size, 1)
    check_number("learning_rate", learning_rate, "> 0", lambda rate: rate > 0)
    clients = [*shards, *unseen]
    if patience is not None:
        check_whole_number("patience", patience, 1)
        if without := [client for client, shard in enumerate(clients) if not len(shard.validation)]:
            raise InputError(f"patience must be None where a client has no validation examples, as client {without[0]}")
    begin = time.perf_counter()
    pooled = np.concatenate([shard.train for shard in shards])
    everybody = [Shard(pooled, pooled[:0]), *clients]
    if trim:
        everybody = trim_last_batch(everybody, batch_size=batch_size, seed=derive_seed(seed, "last batch"))
    learners = [shard.train for shard in everybody]  # the longest first, so that no worker ends alone
    model = own_copy(model, dataset, seed)
    start = copy_of_weights(model)

    def measure(learner: int, epoch: int) -> Numbers:
        own = clients if learner == 0 else [clients[learner - 1]]
        task = dataset.task
        return {
            "epochs": epoch,
            "test": evaluate(model, dataset.test_inputs, dataset.test_targets, task=task).accuracy,
            "validation": [
                evaluate(model, dataset.train_inputs, dataset.train_targets, shard.validation, task=task).accuracy
                for shard in own
            ],
        }

    def learn_alone(learner: int) -> Numbers:
        model.load_state_dict(start)
        steps = optimizer(model.parameters(), lr=learning_rate, fused=True)
        inputs, targets, task = dataset.train_inputs, dataset.train_targets, dataset.task
        watched = np.concatenate([s.validation for s in shards]) if learner == 0 else clients[learner - 1].validation
        found: dict[str, Any] = {}
        epoch, best, best_epoch, best_weights = 0, -1.0, 0, start
        while epoch < epochs or (patience is not None and epoch - best_epoch < patience):
            order = derive_seed(seed, "alone", learner, epoch)
            train(
                model, inputs, targets, learners[learner], steps, epochs=1, batch_size=batch_size, seed=order, task=task
            )
            epoch += 1
            if epoch == epochs:
                found |= measure(learner, epoch)
            if patience is not None and epoch - best_epoch <= patience:
                accuracy = evaluate(model, inputs, targets, watched, task=task).accuracy
                if accuracy > best or epoch == 1:
                    best, best_epoch, best_weights = accuracy, epoch, copy_of_weights(model)
        if patience is not None:
            model.load_state_dict(best_weights)
            found |= {f"stopped {name}": value for name, value in measure(learner, best_epoch).items()}
        return found

    learned = run_in_parallel(learn_alone, len(learners), seed=seed, workers=workers, label=label)
    seconds = time.perf_counter() - begin
    stopped = None if patience is None else _lines(learned, seconds, "stopped ")
    return dataclasses.replace(_lines(learned, seconds), early_stopping=stopped)


def _lines(learned: Sequence[Numbers], seconds: float, prefix: str = "") -> ReferenceLines:
    central, *alone = learned
    return ReferenceLines(
        centralized_test=central[f"{prefix}test"],
        centralized_validation=tuple(central[f"{prefix}validation"]),
        local_test=tuple(client[f"{prefix}test"] for client in alone),
        local_validation=tuple(client[f"{prefix}validation"][0] for client in alone),
        seconds=seconds,
        centralized_epochs=central[f"{prefix}epochs"],
        local_epochs=tuple(client[f"{prefix}epochs"] for client in alone),
    )


def own_copy(model: nn.Module | None, dataset: Dataset, seed: int) -> nn.Module:
    """Return a copy of a model, to be trained in its place; of None the default model.

    Raises:
        InputError: no model, and the data are no images; or one that cannot be copied.
    """
    if model is None:
        return default_model(dataset, seed)
    try:
        return copy.deepcopy(model)
    except Exception as error:  # what a layer that cannot be copied raises has many names
        raise InputError(f"model must be one that copy.deepcopy can copy, got {one_line(error)}") from None


def default_model(dataset: Dataset, seed: int) -> nn.Module:
    """Return the workbook's CNN for a data set of images, on its device; its weights depend on the seed alone.

    Raises:
        InputError: the data are no images.
    """
    if not isinstance(dataset, ImageDataset):
        raise InputError(f"model must be given for {dataset.task.name}, since the CNN is for images, got None")
    return new_cnn(dataset.image_shape, dataset.num_classes, seed).to(dataset.train_images.device)

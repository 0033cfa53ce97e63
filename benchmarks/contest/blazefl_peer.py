"""The contestant of BlazeFL: its thread pool, one thread per core.

It runs in an environment of its own, made from `benchmarks/requirements-blazefl.txt` with Python 3.12 or newer.

Of BlazeFL's three modes its documentation recommends the thread pool, and on two cores none is faster, though Python
3.12 has the global interpreter lock: clients spend their time inside PyTorch, which releases it, while the process pool
starts new workers for every message to the clients. On many cores the lock is what limits the threads. The
single-threaded mode uses one core.

It is written like BlazeFL's quickstart: a selector of models, a partitioned data set, BlazeFL's FedAvg server, a
client trainer, and the loop over them. What differs:

- A client's images are indices into one `uint8` tensor. The quickstart loads a list of arrays for every message and
  transforms them one by one.
- Clients call this project's `train` and `evaluate` with the seeds of `contest.ours`: the same steps on the same
  images, so that what is compared is the engine.
- After each round the clients measure the averaged model; the quickstart measures it on the server alone.
- PyTorch uses one thread per client while clients run side by side.
"""

import copy
import os
import threading
from dataclasses import dataclass
from typing import Literal

import torch
from blazefl.contrib import FedAvgBaseServerHandler, FedAvgDownlinkPackage, FedAvgPartitionType, FedAvgUplinkPackage
from blazefl.core import (
    ModelSelector,
    PartitionedDataset,
    ThreadPoolClientTrainer,
    deserialize_model,
    serialize_model,
)
from torch import nn
from torch.utils.data import Subset, TensorDataset

from contest.marks import FINISH, ROUND, START, Marks
from contest.settings import BATCH_SIZE, DATASET, LEARNING_RATE, LOCAL_EPOCHS, SEED, Task, make_shards, start
from fedlearn_helpers.data import ImageDataset, load_dataset
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.training import Evaluation, evaluate, train

MODEL = "tutorial CNN"
DEVICE = "cpu"


class CopySelector(ModelSelector):
    """Knows one model, and hands out copies of it: making one anew would seed the generators of all threads."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def select_model(self, model_name: str) -> nn.Module:
        """Return a copy."""
        return copy.deepcopy(self._model)


class PartitionedImages(PartitionedDataset[FedAvgPartitionType]):
    """Each client's images to train on (TRAIN) and to validate on (TEST), and the test set (TEST of no client)."""

    def __init__(self, images: ImageDataset, num_clients: int) -> None:
        self._train = TensorDataset(images.train_images, images.train_labels)
        self._test = TensorDataset(images.test_images, images.test_labels)
        self._shards = make_shards(images, num_clients)

    def get_dataset(self, type_: FedAvgPartitionType, cid: int | None) -> Subset:
        """Return the images of a client, or those of the server."""
        if cid is None:
            return Subset(self._test, range(len(self._test)))
        shard = self._shards[cid]
        return Subset(self._train, shard.train if type_ is FedAvgPartitionType.TRAIN else shard.validation)


@dataclass
class Broadcast(FedAvgDownlinkPackage):
    """The averaged model, and what clients are to do with it."""

    phase: Literal["train", "evaluate"]
    server_round: int


class ServerHandler(FedAvgBaseServerHandler):
    """BlazeFL's FedAvg over all clients, which also lets them measure the averaged model."""

    def __init__(self, model_selector: CopySelector, dataset: PartitionedImages, task: Task) -> None:
        super().__init__(
            model_selector=model_selector,
            model_name=MODEL,
            dataset=dataset,
            global_round=task.rounds,
            num_clients=task.clients,
            sample_ratio=1.0,
            device=DEVICE,
            batch_size=BATCH_SIZE,
            seed=SEED,
        )

    def downlink_package(self) -> Broadcast:
        """Return what clients need to train in the next round."""
        return Broadcast(serialize_model(self.model), "train", self.round + 1)

    def validation_package(self) -> Broadcast:
        """Return what clients need to measure the model of the last round."""
        return Broadcast(serialize_model(self.model), "evaluate", self.round)

    def get_summary(self) -> dict[str, float]:
        """Measure the model on the test set."""
        result = measure(self.model, self.dataset.get_dataset(FedAvgPartitionType.TEST, None))
        return {"loss": result.loss, "accuracy": result.accuracy}


class ClientTrainer(ThreadPoolClientTrainer[FedAvgUplinkPackage, Broadcast]):
    """The clients: BlazeFL's thread pool, and the work of one client in it."""

    def __init__(self, model_selector: CopySelector, dataset: PartitionedImages, num_parallels: int) -> None:
        self.model_selector, self.dataset = model_selector, dataset
        self.num_parallels = num_parallels
        self.device = DEVICE
        self.cache: list[FedAvgUplinkPackage] = []
        self.stop_event = threading.Event()

    def local_process(self, payload: Broadcast, cid_list: list[int]) -> None:
        """Run the clients. The pool's threads are new every time, and take over PyTorch's number of threads."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        super().local_process(payload, cid_list)
        torch.set_num_threads(threads)

    def worker(self, cid: int, device: str, payload: Broadcast, stop_event: threading.Event) -> FedAvgUplinkPackage:
        """Train or measure the received model on one client's images."""
        model = self.model_selector.select_model(MODEL)
        deserialize_model(model, payload.model_parameters)
        if payload.phase == "evaluate":
            result = measure(model, self.dataset.get_dataset(FedAvgPartitionType.TEST, cid))
            metrics = {"loss": result.loss, "accuracy": result.accuracy}
            return FedAvgUplinkPackage(cid, payload.model_parameters, result.num_examples, metrics)
        share = self.dataset.get_dataset(FedAvgPartitionType.TRAIN, cid)
        loss = train(
            model,
            *share.dataset.tensors,
            share.indices,
            torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True),
            epochs=LOCAL_EPOCHS,
            batch_size=BATCH_SIZE,
            seed=derive_seed(SEED, "train", payload.server_round, cid),
        )
        return FedAvgUplinkPackage(cid, serialize_model(model), len(share), {"loss": loss})

    def uplink_package(self) -> list[FedAvgUplinkPackage]:
        """Hand over the clients' answers."""
        packages, self.cache = self.cache, []
        return packages


def measure(model: nn.Module, share: Subset) -> Evaluation:
    """Evaluate the model on a part of a `TensorDataset`."""
    return evaluate(model, *share.dataset.tensors, share.indices)


def run(task: Task) -> None:
    """Run the experiment."""
    marks = Marks(task.marks)
    marks.write(START)
    images = load_dataset(DATASET)
    dataset = PartitionedImages(images, task.clients)
    selector = CopySelector(new_cnn(images.image_shape, images.num_classes, SEED))
    handler = ServerHandler(selector, dataset, task)
    trainer = ClientTrainer(selector, dataset, min(len(os.sched_getaffinity(0)), task.clients))
    summary = handler.get_summary()
    marks.write(ROUND, round=0, **summary)
    for server_round in range(1, task.rounds + 1):
        clients = handler.sample_clients()
        trainer.local_process(handler.downlink_package(), clients)
        for package in trainer.uplink_package():
            handler.load(package)
        trainer.local_process(handler.validation_package(), clients)
        validation_accuracy = mean_accuracy(trainer.uplink_package())
        summary = handler.get_summary()
        marks.write(ROUND, round=server_round, **summary)
    marks.write(FINISH, validation_accuracy=validation_accuracy)
    print(f"test accuracy {summary['accuracy']:.4f}")


def mean_accuracy(packages: list[FedAvgUplinkPackage]) -> float:
    """Average the clients' accuracies, weighted by their images."""
    return sum(p.data_size * p.metadata["accuracy"] for p in packages) / sum(p.data_size for p in packages)


if __name__ == "__main__":
    start(prepare=lambda task: load_dataset(DATASET), run=run)

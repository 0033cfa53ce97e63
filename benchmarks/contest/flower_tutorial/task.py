"""Model, data and loops of the quickstart: a data loader that decodes and transforms every image it hands out."""

import os
from functools import cache
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset
from flwr_datasets import FederatedDataset
from flwr_datasets.partitioner import IidPartitioner
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.transforms import Compose, Normalize, ToTensor

from contest.settings import VALIDATION_FRACTION

TEST_BATCH = 128
SPLIT_SEED = 42
to_model_input = Compose([ToTensor(), Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))])


class Net(nn.Module):
    """The CNN of PyTorch's 60-minute tutorial: the same 62,006 parameters as the other contestant's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 3, 32, 32) images to (n, 10) scores."""
        for convolution in (self.conv1, self.conv2):
            x = self.pool(F.relu(convolution(x)))
        x = x.view(-1, 16 * 5 * 5)
        for linear in (self.fc1, self.fc2):
            x = F.relu(linear(x))
        return self.fc3(x)


def load_data(partition_id: int, num_partitions: int, batch_size: int) -> tuple[DataLoader, DataLoader]:
    """Return one client's loaders for training and validation, made anew for every message."""
    partition = federated_dataset(num_partitions).load_partition(partition_id)
    halves = partition.train_test_split(test_size=VALIDATION_FRACTION, seed=SPLIT_SEED)
    halves = halves.with_transform(transform_images)
    train = DataLoader(halves["train"], batch_size=batch_size, shuffle=True)
    return train, DataLoader(halves["test"], batch_size=batch_size)


def load_test_data() -> DataLoader:
    """Return the loader of the whole test set, made anew for every evaluation."""
    test = load_dataset("parquet", data_files=data_files(), split="test")
    return DataLoader(test.with_transform(transform_images), batch_size=TEST_BATCH)


@cache
def federated_dataset(num_partitions: int) -> FederatedDataset:
    """Return the partitioned data set, opened once per process."""
    partitioner = IidPartitioner(num_partitions=num_partitions)
    return FederatedDataset(dataset="parquet", partitioners={"train": partitioner}, data_files=data_files())


def data_files() -> dict[str, str]:
    """Name the files that the quickstart fetches from the Hub."""
    folder = Path(os.environ["FEDLEARN_DATA"]) / "cifar10"
    return {split: str(next(folder.rglob(f"{split}-*.parquet"))) for split in ("train", "test")}


def transform_images(batch: dict[str, Any]) -> dict[str, Any]:
    """ClientTask the PIL images of a batch into normalized tensors, one by one."""
    batch["img"] = [to_model_input(image) for image in batch["img"]]
    return batch


def pick_device() -> torch.device:
    """Return the first GPU, or the CPU."""
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def train(net: nn.Module, loader: DataLoader, epochs: int, learning_rate: float, device: torch.device) -> float:
    """Train the model in place with Adam, and return the mean loss of a batch."""
    net.to(device)
    criterion = nn.CrossEntropyLoss().to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
    net.train()
    total = 0.0
    for _ in range(epochs):
        for batch in loader:
            images, labels = batch["img"].to(device), batch["label"].to(device)
            optimizer.zero_grad()
            loss = criterion(net(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
    return total / (epochs * len(loader))


def test(net: nn.Module, loader: DataLoader, device: torch.device) -> tuple[float, float]:
    """Return the mean loss of a batch, and the accuracy."""
    net.to(device)
    criterion = nn.CrossEntropyLoss()
    right, loss = 0, 0.0
    with torch.no_grad():
        for batch in loader:
            images, labels = batch["img"].to(device), batch["label"].to(device)
            scores = net(images)
            loss += criterion(scores, labels).item()
            right += (scores.argmax(dim=1) == labels).sum().item()
    return loss / len(loader), right / len(loader.dataset)

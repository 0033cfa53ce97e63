"""The experiment's constants, and the command line that all contestants share."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedlearn_helpers.data import ImageDataset
    from fedlearn_helpers.partition import Shard

DATASET = "cifar10"
BATCH_SIZE = 32
LEARNING_RATE = 1e-3
LOCAL_EPOCHS = 1
VALIDATION_FRACTION = 0.2
SEED = 0


@dataclass(frozen=True)
class Task:
    """What one contestant process has to do.

    Attributes:
        rounds, clients: size of the federation.
        marks: where to report rounds.
        workers: for the contestant that can choose.
        evaluate: for the contestant that can go without.
        prepare: only build the contestant's cache of the data, then stop.
    """

    rounds: int
    clients: int
    marks: Path
    workers: int | str
    evaluate: bool
    prepare: bool


def start(prepare: Callable[[Task], object], run: Callable[[Task], None]) -> None:
    """Do what the command line of a contestant process asks for: prepare its cache of the data, or run."""
    task = _read_task()
    if task.prepare:
        prepare(task)
    else:
        run(task)


def _read_task() -> Task:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--marks", type=Path, required=True)
    parser.add_argument("--workers", type=lambda text: text if text == "auto" else int(text), default="auto")
    parser.add_argument("--evaluate", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    return Task(**vars(parser.parse_args()))


def make_shards(dataset: "ImageDataset", clients: int) -> "list[Shard]":
    """Return the images of each client, for the contestants that take them from this project."""
    from fedlearn_helpers.partition import iid, split_train_validation  # the quickstart goes without PyTorch here

    parts = iid(len(dataset.train_labels), clients, seed=SEED)
    return split_train_validation(parts, validation_fraction=VALIDATION_FRACTION, seed=SEED)

"""How clients do with the model that each of them uses."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import Message
from torch import nn

from fedlearn_helpers.data import Dataset
from fedlearn_helpers.partition.split import Shard
from fedlearn_helpers.training import evaluate

ACCURACY, TEST_ACCURACY, ELSEWHERE = "accuracy", "test-accuracy", "accuracy-elsewhere"  # in a client's reply


@dataclass(frozen=True)
class ClientMeasures:
    """How clients do, each with the model that it uses; accuracies in [0, 1], nan for a client that failed.

    Attributes:
        own: (clients,) on the client's own validation examples, which have its mixture of classes.
        elsewhere: (clients, members) on the validation examples of every client that trained.
        test: (clients,) on the test examples, which have all classes.
    """

    own: np.ndarray
    elsewhere: np.ndarray
    test: np.ndarray


def accuracy_of_each(model: nn.Module, dataset: Dataset, shards: Sequence[Shard]) -> np.ndarray:
    """Return the accuracy (clients,) of one model on each client's validation examples."""
    inputs, targets = dataset.train_inputs, dataset.train_targets
    return np.array(
        [evaluate(model, inputs, targets, shard.validation, task=dataset.task).accuracy for shard in shards]
    )


def of_one_model(own: np.ndarray, of_members: np.ndarray, test: float) -> ClientMeasures:
    """Return the measures of clients that all use the same model.

    Args:
        own: (clients,) its accuracy on each client's validation examples.
        of_members: (members,) the same for the clients that trained.
        test: its accuracy on the test examples.
    """
    return ClientMeasures(own, np.broadcast_to(of_members, (len(own), len(of_members))), np.full(len(own), test))


def of_replies(replies: Sequence[Message], num_members: int) -> ClientMeasures:
    """Return the measures that clients sent, each of the model that it made for itself."""
    failed: Mapping[str, Any] = {ACCURACY: math.nan, TEST_ACCURACY: math.nan, ELSEWHERE: [math.nan] * num_members}
    reports = [failed if reply.has_error() else reply.content.metric_records["metrics"] for reply in replies]
    return ClientMeasures(
        own=np.array([report[ACCURACY] for report in reports]),
        elsewhere=np.array([report[ELSEWHERE] for report in reports]).reshape(len(reports), num_members),
        test=np.array([report[TEST_ACCURACY] for report in reports]),
    )

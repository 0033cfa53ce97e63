"""The ClientApp of any algorithm: it runs on every Flower grid."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import Mod
from torch import Tensor, nn

from fedlearn_helpers.algorithms.algorithm import Adapt, Algorithm
from fedlearn_helpers.algorithms.local import LocalConfig, LocalTraining
from fedlearn_helpers.data import Dataset
from fedlearn_helpers.experiments.measures import ACCURACY, ELSEWHERE, TEST_ACCURACY
from fedlearn_helpers.models import copy_of_weights
from fedlearn_helpers.partition.split import Shard
from fedlearn_helpers.simulation.position import client_of
from fedlearn_helpers.training import evaluate, judge


def new_client_app(
    algorithm: Algorithm,
    dataset: Dataset,
    shards: Sequence[Shard],
    model: nn.Module,
    *,
    local_config: LocalConfig,
    seed: int,
    initial: Mapping[str, Tensor] | None = None,
    members: Sequence[Shard] = (),
    adapt: Adapt | None = None,
    mods: Sequence[Mod] = (),
) -> ClientApp:
    """Return the ClientApp of an algorithm.

    It trains as the algorithm does. Asked to evaluate, it measures the model that the client uses: the received one, or
    the one that it makes of it.

    Args:
        algorithm: a value of `ALGORITHMS`.
        dataset: all examples, on the device to compute on.
        shards: one per client.
        model: one model for all clients; each message overwrites its weights.
        local_config: how clients train.
        seed: of the run.
        initial: the first model's weights, for what the server does not send; None means those of `model` as it is.
        members: on whose validation examples a client's own model is measured, besides its own; without any, a
            reply has numbers alone, which every Flower strategy averages.
        adapt: makes a client's own model of the received one; None measures the received one.
        mods: Flower's client mods, around the clients' training alone.
    """
    first = copy_of_weights(model) if initial is None else initial
    client_app = ClientApp()

    def received(message: Message, context: Context, purpose: str) -> LocalTraining:
        shard = shards[client_of(context)]
        return LocalTraining(message, context, dataset, shard, model, local_config, seed, first=first, purpose=purpose)

    @client_app.train(mods=list(mods))
    def train_client(message: Message, context: Context) -> Message:
        return Message(algorithm.train_client(received(message, context, "train")), reply_to=message)

    inputs, targets, task = dataset.train_inputs, dataset.train_targets, dataset.task
    of_members = np.concatenate([shard.validation for shard in members]) if members else np.arange(0)
    bounds = np.cumsum([len(shard.validation) for shard in members])[:-1]

    @client_app.evaluate()
    def evaluate_client(message: Message, context: Context) -> Message:
        local = received(message, context, "adapt")
        if adapt is not None:
            adapt(local)
        own = evaluate(model, inputs, targets, local.shard.validation, task=task)
        metrics = {"loss": own.loss, ACCURACY: own.accuracy, "num-examples": own.num_examples}
        if adapt is None:  # what the server has measured of its model holds for this client, too
            return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)
        all_metrics = MetricRecord(metrics)
        test = evaluate(model, dataset.test_inputs, dataset.test_targets, task=task)
        all_metrics[TEST_ACCURACY] = test.accuracy
        if members:
            elsewhere = evaluate(model, inputs, targets, of_members, task=task)
            true = targets[torch.as_tensor(of_members)].cpu()
            reached = judge(elsewhere.predictions, elsewhere.confidences, true, task).numpy()
            all_metrics[ELSEWHERE] = [float(part.mean()) for part in np.split(reached, bounds)]
        return Message(RecordDict({"metrics": all_metrics}), reply_to=message)

    return client_app

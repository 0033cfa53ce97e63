"""The client of notebook 02: trains the model it receives on its own images, and measures it on them."""

import functools
from collections.abc import Callable, Sequence
from typing import ParamSpec

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from torch import nn

from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.errors import check_number, check_whole_number
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.seeds import check_seed, derive_seed
from fedlearn_helpers.training import evaluate, train

Given = ParamSpec("Given")


def _with_checks(make: Callable[Given, ClientApp]) -> Callable[Given, ClientApp]:
    @functools.wraps(make)
    def checked(*arguments: Given.args, **options: Given.kwargs) -> ClientApp:
        check_whole_number("local_epochs", options.get("local_epochs"), 1)
        check_whole_number("batch_size", options.get("batch_size"), 1)
        check_number("learning_rate", options.get("learning_rate"), "> 0", lambda rate: rate > 0)
        check_seed(options.get("seed"))
        return make(*arguments, **options)

    return checked


@_with_checks
def make_client_app(
    dataset: ImageDataset,
    shards: Sequence[Shard],
    model: nn.Module,
    *,
    local_epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> ClientApp:
    """Return the ClientApp of notebook 02, which explains it line by line.

    Args:
        dataset: all images, on the device to compute on.
        shards: one per client.
        model: one model for all clients; each message overwrites its weights.
        local_epochs: passes over a client's training images in one round, >= 1.
        batch_size: images a step, >= 1.
        learning_rate: Adam's rate, > 0. A new Adam starts in every round.
        seed: seed of the run.

    Raises:
        InputError: a number out of range.
    """
    client_app = ClientApp()

    @client_app.train()
    def train_client(message: Message, context: Context) -> Message:
        client = context.node_config["partition-id"]
        server_round = message.content["config"]["server-round"]
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
        loss = train(
            model,
            dataset.train_images,
            dataset.train_labels,
            shards[client].train,
            optimizer,
            epochs=local_epochs,
            batch_size=batch_size,
            seed=derive_seed(seed, "train", server_round, client),
        )
        metrics = MetricRecord({"loss": loss, "num-examples": len(shards[client].train)})
        reply = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics})
        return Message(content=reply, reply_to=message)

    add_evaluation(client_app, dataset, shards, model)
    return client_app


def add_evaluation(client_app: ClientApp, dataset: ImageDataset, shards: Sequence[Shard], model: nn.Module) -> None:
    """Let the clients of an app measure the model they receive on their own validation images; as in notebook 02."""

    @client_app.evaluate()
    def evaluate_client(message: Message, context: Context) -> Message:
        client = context.node_config["partition-id"]
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        result = evaluate(model, dataset.train_images, dataset.train_labels, shards[client].validation)
        metrics = MetricRecord({"loss": result.loss, "accuracy": result.accuracy, "num-examples": result.num_examples})
        return Message(content=RecordDict({"metrics": metrics}), reply_to=message)

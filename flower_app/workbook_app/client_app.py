"""The ClientApp: every client of a process shares one data set, one model and one thread."""

from functools import lru_cache

import torch
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fedlearn_helpers.experiments.basic_client import make_client_app
from workbook_app.settings import RunConfig, read_run_config
from workbook_app.task import load_images, new_model, new_shards

app = ClientApp()


@app.query()
def tell_partition(message: Message, context: Context) -> Message:
    """Tell the server which client this is: node ids are random, partition ids are the same in every run."""
    partition = {name: context.node_config[name] for name in ("partition-id", "num-partitions")}
    return Message(RecordDict({"partition": ConfigRecord(partition)}), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the model in the message on this client's images."""
    return _client(context)(message, context)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Measure the model in the message on this client's validation images."""
    return _client(context)(message, context)


def _client(context: Context) -> ClientApp:
    return _new_client(read_run_config(context.run_config), context.node_config["num-partitions"])


@lru_cache(maxsize=1)
def _new_client(config: RunConfig, num_clients: int) -> ClientApp:
    torch.set_num_threads(1)  # sums of floats depend on how they are split over threads
    return make_client_app(
        load_images(config.dataset),
        new_shards(config, num_clients),
        new_model(config),
        local_epochs=config.local_epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        seed=config.seed,
    )

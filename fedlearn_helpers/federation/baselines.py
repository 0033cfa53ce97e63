"""The two lines that every federated result is measured against: local only, and centralized.

Both train the same model from the same start for the same number of epochs. They run as clients
of a federation that never averages, so that they too are spread over workers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.federation.history import History
from fedlearn_helpers.federation.simulate import simulate
from fedlearn_helpers.federation.workers import Workers
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.seeds import derive_seed
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
) -> ReferenceLines:
    """Train one CNN on all clients' training examples together, and one on each client's alone.

    Args:
        dataset: all images, on the device to compute on.
        shards: one per client.
        epochs: passes over the examples, >= 1: rounds x local epochs of the federation.
        batch_size: images a step.
        learning_rate: Adam's rate; Adam keeps its state from epoch to epoch.
        seed: the start and the order of the examples.
        workers: as in `simulate`.
    """
    pooled = np.concatenate([shard.train for shard in shards])
    learners = [pooled, *(shard.train for shard in shards)]  # the longest first, so that no worker ends alone
    model = new_cnn(dataset.image_shape, dataset.num_classes, seed).to(dataset.train_images.device)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    client_app = ClientApp()

    @client_app.query()
    def learn_alone(message: Message, context: Context) -> Message:
        learner = context.node_config["partition-id"]
        model.load_state_dict(start)
        optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
        images, labels = dataset.train_images, dataset.train_labels
        for epoch in range(epochs):
            order = derive_seed(seed, "alone", learner, epoch)
            train(model, images, labels, learners[learner], optimizer, epochs=1, batch_size=batch_size, seed=order)
        own = shards if learner == 0 else [shards[learner - 1]]
        validation = [evaluate(model, images, labels, shard.validation).accuracy for shard in own]
        test = evaluate(model, dataset.test_images, dataset.test_labels).accuracy
        metrics = MetricRecord({"test": test, "validation": validation, "num-examples": len(learners[learner])})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    replies: list[Message] = []
    server_app = ServerApp()

    @server_app.main()
    def ask_everyone(grid: Grid, context: Context) -> None:
        messages = [grid.create_message(RecordDict(), "query", node, group_id="") for node in grid.get_node_ids()]
        replies.extend(grid.send_and_receive(messages))

    history: History = simulate(
        server_app, client_app, num_clients=len(learners), seed=seed, workers=workers, label="Learning alone"
    )
    (central, *locals_) = [reply.content["metrics"] for reply in replies]
    return ReferenceLines(
        centralized_test=central["test"],
        centralized_validation=tuple(central["validation"]),
        local_test=tuple(record["test"] for record in locals_),
        local_validation=tuple(record["validation"][0] for record in locals_),
        seconds=history.seconds,
    )

"""What must hold exactly for FedAvg, whatever the data.

Source: McMahan, Moore, Ramage, Hampson, Agüera y Arcas, "Communication-Efficient Learning of Deep
Networks from Decentralized Data", 2017, https://arxiv.org/abs/1602.05629. Section 2: with one step
of gradient descent on all of a client's examples, and weights n_k / n, the average of the models is

    sum_k (n_k / n) (w - eta grad F_k(w)) = w - eta grad f(w),    f = sum_k (n_k / n) F_k,

one step of gradient descent on the pooled examples. Here F_k is the mean cross-entropy of softmax
regression in float64, and Flower's own FedAvg does the averaging.
"""

import copy

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

from fedlearn_helpers.algorithms import weighted_mean
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.experiments.basic_client import make_client_app
from fedlearn_helpers.models import TutorialCNN, new_cnn
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.simulation import keep_result, simulate
from fedlearn_helpers.training import evaluate, train

SIZES = (3, 40, 11, 150)  # n_k: examples of each client
NUM_FEATURES, NUM_CLASSES = 6, 3
LEARNING_RATE = 0.5


def non_iid_clients():
    """Per client: features (n_k, 6) around a centre of its own, and labels (n_k,) from two of the three classes."""
    rng = np.random.default_rng(0)
    return [
        (rng.normal(2 * rng.normal(size=NUM_FEATURES), 1, (size, NUM_FEATURES)), (rng.integers(2, size=size) + k) % 3)
        for k, size in enumerate(SIZES)
    ]


def gradient(weights, features, labels):
    """Gradient of the mean cross-entropy of softmax(features @ weights); same shape as the weights."""
    scores = features @ weights
    probabilities = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return features.T @ (probabilities - np.eye(NUM_CLASSES)[labels]) / len(labels)


def descend(weights, features, labels, steps):
    for _ in range(steps):
        weights = weights - LEARNING_RATE * gradient(weights, features, labels)
    return weights


INITIAL = np.random.default_rng(1).normal(size=(NUM_FEATURES, NUM_CLASSES))


def federated(clients, *, num_rounds, local_steps=1, weighted_by="num-examples"):
    client_app, server_app = ClientApp(), ServerApp()

    @client_app.train()
    def train_client(message, context):
        features, labels = clients[context.node_config["partition-id"]]
        weights = descend(message.content["arrays"]["weights"].numpy(), features, labels, local_steps)
        metrics = MetricRecord({"num-examples": len(labels), "one": 1})
        return Message(
            RecordDict({"arrays": ArrayRecord({"weights": Array(weights)}), "metrics": metrics}), reply_to=message
        )

    @server_app.main()
    def main(grid, context):
        strategy = FedAvg(fraction_evaluate=0.0, weighted_by_key=weighted_by)
        initial = ArrayRecord({"weights": Array(INITIAL)})
        keep_result(strategy.start(grid=grid, initial_arrays=initial, num_rounds=num_rounds), context)

    history = simulate(server_app, client_app, num_clients=len(clients), seed=0, workers=1)
    return history.arrays["weights"].numpy()


def centralized(clients, steps):
    pooled_features, pooled_labels = (np.concatenate(parts) for parts in zip(*clients, strict=True))
    return descend(INITIAL, pooled_features, pooled_labels, steps)


def distance(one, other):
    return np.abs(one - other).max()


@pytest.mark.parametrize("num_rounds", [1, 2, 10])
def test_one_local_step_on_the_full_batch_is_gradient_descent_on_the_pooled_data(num_rounds):
    clients = non_iid_clients()
    result = federated(clients, num_rounds=num_rounds)
    assert result.dtype == np.float64
    assert distance(result, centralized(clients, num_rounds)) < 1e-13
    assert distance(result, INITIAL) > 0.1


def test_with_uniform_weights_it_is_not():
    clients = non_iid_clients()
    assert distance(federated(clients, num_rounds=1, weighted_by="one"), centralized(clients, 1)) > 0.01


def test_with_equal_sizes_uniform_weights_are_the_same():
    clients = [(features[:3], labels[:3]) for features, labels in non_iid_clients()]
    assert distance(federated(clients, num_rounds=1, weighted_by="one"), centralized(clients, 1)) < 1e-13


def test_with_five_local_steps_it_is_neither_one_step_nor_five():
    clients = non_iid_clients()
    result = federated(clients, num_rounds=1, local_steps=5)
    assert distance(result, centralized(clients, 1)) > 0.01
    assert distance(result, centralized(clients, 5)) > 0.01


def test_with_five_local_steps_on_equal_clients_it_is_five():
    (client, *_) = non_iid_clients()
    assert distance(federated([client] * 3, num_rounds=1, local_steps=5), centralized([client], 5)) < 1e-13


# The average in this package and Flower's --------------------------------------------------


class RecordingFedAvg(FedAvg):
    """FedAvg that keeps what it was given."""

    def aggregate_train(self, server_round, replies):
        self.replies = copy.deepcopy([reply.content for reply in replies])
        return super().aggregate_train(server_round, replies)

    @property
    def states(self):
        return [content["arrays"].to_torch_state_dict() for content in self.replies]


def averaged_by_flower(states, weights):
    """Let clients return these state dicts with these weights."""
    client_app, server_app = ClientApp(), ServerApp()

    @client_app.train()
    def train_client(message, context):
        client = context.node_config["partition-id"]
        metrics = MetricRecord({"num-examples": weights[client]})
        return Message(RecordDict({"arrays": ArrayRecord(states[client]), "metrics": metrics}), reply_to=message)

    @server_app.main()
    def main(grid, context):
        strategy = FedAvg(fraction_evaluate=0.0)
        keep_result(strategy.start(grid=grid, initial_arrays=ArrayRecord(states[0]), num_rounds=1), context)

    history = simulate(server_app, client_app, num_clients=len(states), seed=0, workers=1)
    return history.arrays.to_torch_state_dict()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-7), (torch.float64, 1e-15)])
def test_average_models_is_flowers_average(dtype, tolerance):
    states = [
        {name: tensor.to(dtype) for name, tensor in new_cnn((1, 28, 28), 10, seed).state_dict().items()}
        for seed in range(len(SIZES))
    ]
    average, flowers = weighted_mean(states, SIZES), averaged_by_flower(states, SIZES)
    assert list(average) == list(flowers) == list(states[0])
    for name, tensor in average.items():
        assert tensor.dtype == dtype
        torch.testing.assert_close(tensor, flowers[name], rtol=0, atol=tolerance)
    uniform = weighted_mean(states, [1] * len(SIZES))
    assert (uniform["fc1.weight"] - flowers["fc1.weight"]).abs().max() > 1e-3


# A last short batch ------------------------------------------------------------------------

BATCH_SIZE = 8
CLIENT_SIZES = (9, 32)  # two batches, the last of one example; and four batches


@pytest.fixture(scope="module")
def noise_images():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (60, 1, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.randint(3, (60,), generator=generator)
    return ImageDataset("noise", images, labels, images[:1], labels[:1], ("a", "b", "c"), "Noise.")


def test_a_client_weighs_its_examples_not_its_batches(noise_images):
    edges = np.cumsum([0, *CLIENT_SIZES])
    shards = [Shard(np.arange(*edges[k : k + 2]), np.arange(50, 55)) for k in range(2)]
    model = new_cnn(noise_images.image_shape, 3, seed=0)
    client_app = make_client_app(
        noise_images, shards, model, local_epochs=2, batch_size=BATCH_SIZE, learning_rate=0.01, seed=0
    )
    strategy, server_app = RecordingFedAvg(fraction_evaluate=0.0), ServerApp()
    initial = ArrayRecord(model.state_dict())

    @server_app.main()
    def main(grid, context):
        keep_result(strategy.start(grid=grid, initial_arrays=initial, num_rounds=1), context)

    history = simulate(server_app, client_app, num_clients=2, seed=0, workers=1)
    assert tuple(history.clients["examples"]) == CLIENT_SIZES
    result = history.arrays.to_torch_state_dict()["conv1.weight"]
    by_examples = weighted_mean(strategy.states, CLIENT_SIZES)["conv1.weight"]
    by_batches = weighted_mean(strategy.states, [-(-size // BATCH_SIZE) for size in CLIENT_SIZES])["conv1.weight"]
    torch.testing.assert_close(result, by_examples, rtol=0, atol=1e-7)
    assert (result - by_batches).abs().max() > 1e-4


def test_the_reported_loss_is_the_mean_over_examples_not_over_batches(noise_images):
    """With a rate of 0 the model stands still, so the loss while training is the loss of that model."""
    images, labels = noise_images.train_images, noise_images.train_labels
    torch.manual_seed(0)
    model = TutorialCNN(1, 16, 16, 3)
    model.fc3.weight.data *= 30  # losses that differ from example to example
    indices = np.arange(CLIENT_SIZES[0])
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    reported = train(model, images, labels, indices, still, epochs=2, batch_size=BATCH_SIZE, seed=0)
    assert reported == pytest.approx(evaluate(model, images, labels, indices).loss, abs=1e-6)
    order = torch.randperm(len(indices), generator=torch.Generator().manual_seed(0))
    over_batches = np.mean([evaluate(model, images, labels, batch).loss for batch in order.split(BATCH_SIZE)])
    assert abs(reported - over_batches) > 1e-3

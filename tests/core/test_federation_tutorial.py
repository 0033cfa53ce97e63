"""The client of notebook 02, and the reference lines it is measured against."""

from dataclasses import replace

import numpy as np
import pytest
from flwr.app import ArrayRecord, MetricRecord
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.experiments.basic_client import make_client_app
from fedlearn_helpers.experiments.reference_lines import ReferenceLines, reference_lines
from fedlearn_helpers.models import count_bytes, new_cnn
from fedlearn_helpers.partition import Shard, iid, split_train_validation
from fedlearn_helpers.simulation import keep_result, simulate
from fedlearn_helpers.training import evaluate

pytestmark = pytest.mark.slow

NUM_CLIENTS = 5


def first_images(num_train):
    whole = load_dataset("fashion")
    return replace(
        whole,
        train_images=whole.train_images[:num_train],
        train_labels=whole.train_labels[:num_train],
        test_images=whole.test_images[:500],
        test_labels=whole.test_labels[:500],
    )


def split(dataset):
    parts = iid(len(dataset.train_labels), NUM_CLIENTS, seed=0)
    return split_train_validation(parts, validation_fraction=0.2, seed=0)


def federate(dataset, shards, *, seed=0, num_rounds=3, model=None):
    model = model or new_cnn(dataset.image_shape, dataset.num_classes, seed)
    initial = ArrayRecord(model.state_dict())
    client_app = make_client_app(dataset, shards, model, local_epochs=1, batch_size=16, learning_rate=0.002, seed=seed)
    server_app = ServerApp()

    def test_model(server_round, arrays):
        model.load_state_dict(arrays.to_torch_state_dict())
        result = evaluate(model, dataset.test_images, dataset.test_labels)
        return MetricRecord({"loss": result.loss, "accuracy": result.accuracy})

    @server_app.main()
    def main(grid, context):
        result = FedAvg().start(grid=grid, initial_arrays=initial, num_rounds=num_rounds, evaluate_fn=test_model)
        keep_result(result, context)

    return simulate(server_app, client_app, num_clients=NUM_CLIENTS, seed=seed)


@pytest.fixture(scope="module")
def dataset():
    return first_images(1000)


@pytest.fixture(scope="module")
def shards(dataset):
    return split(dataset)


@pytest.fixture(scope="module")
def history(dataset, shards):
    return federate(dataset, shards)


def test_federated_training_learns(history):
    losses = history.rounds["server_loss"]
    assert list(losses.index) == [0, 1, 2, 3]
    assert losses.is_monotonic_decreasing
    assert losses[3] < 0.75 * losses[0]
    assert history.rounds["server_accuracy"][3] > 0.4
    assert history.rounds["evaluate_accuracy"][3] > 0.4
    assert history.rounds["train_loss"].dropna().is_monotonic_decreasing


def test_the_client_reports_its_own_examples_and_whole_models(history, dataset, shards):
    table = history.clients
    for phase, part in (("train", "train"), ("evaluate", "validation")):
        reported = table[table["phase"] == phase].groupby("client")["examples"].unique().map(list).to_dict()
        assert reported == {client: [len(getattr(shard, part))] for client, shard in enumerate(shards)}
    model_bytes = count_bytes(new_cnn(dataset.image_shape, dataset.num_classes, 0))
    assert set(table.query("phase == 'train'")["bytes_up"]) == set(table["bytes_down"])
    assert model_bytes < table["bytes_down"].max() < 1.05 * model_bytes


def test_the_same_seed_gives_the_same_bits(history, dataset, shards):
    again = federate(dataset, shards)
    assert [array.data for array in again.arrays.values()] == [array.data for array in history.arrays.values()]
    assert again.clients.drop(columns="seconds").equals(history.clients.drop(columns="seconds"))
    assert again.server_metrics == history.server_metrics
    other = federate(dataset, shards, seed=1, num_rounds=1)
    assert other.server_metrics[1] != history.server_metrics[1]


@pytest.fixture(scope="module")
def more_images():
    return first_images(2000)


def lines(dataset, shards=None, **options):
    return reference_lines(
        dataset,
        shards or split(dataset),
        **{"epochs": 3, "batch_size": 16, "learning_rate": 0.001, "seed": 0} | options,
    )


def test_reference_lines_have_one_number_per_client_and_more_data_wins(more_images):
    result = lines(more_images)
    assert isinstance(result, ReferenceLines)
    for values in (result.local_test, result.local_validation, result.centralized_validation):
        assert len(values) == NUM_CLIENTS
        assert all(0 <= value <= 1 for value in values)
    assert result.local_test_mean == pytest.approx(np.mean(result.local_test))
    assert result.centralized_test > result.local_test_mean + 0.05
    assert np.mean(result.centralized_validation) > np.mean(result.local_validation)
    assert len(set(result.local_test)) > 1
    assert result.seconds > 0


def test_reference_lines_are_deterministic(dataset):
    few = [Shard(shard.train[:60], shard.validation) for shard in split(dataset)]

    def numbers(**options):
        return replace(lines(dataset, few, epochs=2, **options), seconds=0.0)

    first = numbers()
    assert numbers() == first
    assert numbers(workers=1) == first
    assert numbers(seed=1) != first


def test_reference_lines_train_on_the_clients_examples_only(dataset):
    """With wrong labels everywhere else, nothing changes."""
    few = [replace(shard, train=shard.train[:20]) for shard in split(dataset)]
    used = np.concatenate([np.concatenate([shard.train, shard.validation]) for shard in few])
    spoiled = dataset.train_labels.clone()
    unused = np.setdiff1d(np.arange(len(spoiled)), used)
    spoiled[unused] = (spoiled[unused] + 1) % dataset.num_classes
    clean, same = (lines(data, few, epochs=1) for data in (dataset, replace(dataset, train_labels=spoiled)))
    assert replace(same, seconds=0.0) == replace(clean, seconds=0.0)


def test_each_local_line_is_its_own_clients(dataset):
    """A client that has only bags calls everything a bag: right on its own examples, wrong on the rest."""
    bags = np.flatnonzero(dataset.train_labels.numpy() == dataset.class_names.index("bag"))
    shards = split(dataset)
    shards[3] = Shard(train=bags[10:], validation=bags[:10])
    result = lines(dataset, shards, epochs=2, learning_rate=0.002)
    share_of_bags = (dataset.test_labels == dataset.class_names.index("bag")).float().mean().item()
    assert result.local_test[3] == pytest.approx(share_of_bags)
    assert [value == 1 for value in result.local_validation] == [False, False, False, True, False]

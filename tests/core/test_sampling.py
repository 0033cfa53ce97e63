"""How many clients a share is."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

from fedlearn_helpers.algorithms import LocalConfig, new_strategy
from fedlearn_helpers.simulation import simulate
from fedlearn_helpers.simulation.sampling import sample_size


def test_a_share_in_percent_is_that_of_whole_numbers():
    wrong = [(p, n) for p in range(1, 101) for n in range(1, 301) if sample_size(p / 100, n) != p * n // 100]
    assert wrong == []
    assert [(p, n) for p in range(1, 101) for n in range(1, 301) if int(p / 100 * n) != p * n // 100], "control"


def test_so_many_of_so_many_are_so_many():
    assert [(k, n) for n in range(1, 200) for k in range(n + 1) if sample_size(k / n, n) != k] == []


def asked(strategy):
    client_app, server_app = ClientApp(), ServerApp()

    @client_app.train()
    def train(message, context):
        content = RecordDict({"arrays": message.content["arrays"], "metrics": MetricRecord({"num-examples": 1})})
        return Message(content, reply_to=message)

    @server_app.main()
    def main(grid, context):
        strategy.start(grid, ArrayRecord({"w": Array(np.zeros(1))}), num_rounds=1)

    return len(simulate(server_app, client_app, num_clients=100, seed=0, workers=1, label=None).exchanges)


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "fedavgm", "fedadam", "ditto"])
@pytest.mark.parametrize(("share", "clients"), [(0.29, 29), (0.57, 57), (0.58, 58), (0.3, 30), (0.001, 1), (1.0, 100)])
def test_the_packages_servers_ask_so_many(name, share, clients):
    options = {"fraction_evaluate": 0.0, "min_train_nodes": 1, "min_available_nodes": 1}
    assert asked(new_strategy(name, LocalConfig(), fraction_train=share, **options)) == clients
    if share == 0.29:
        assert asked(FedAvg(fraction_train=share, **options)) == 28, "control: Flower's own"

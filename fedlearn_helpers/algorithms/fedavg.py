"""FedAvg: train, and let the server average.

    w_k = w_t after E local epochs of SGD,    w_{t+1} = sum_k (n_k / n) w_k

The server is Flower's `FedAvg`, whose average is `aggregation.weighted_mean`.

Source: McMahan et al. 2017, https://arxiv.org/abs/1602.05629, algorithm 1.
"""

from flwr.app import RecordDict

from fedlearn_helpers.algorithms.algorithm import Algorithm
from fedlearn_helpers.algorithms.local import LocalTraining


def train_client(local: LocalTraining) -> RecordDict:
    """Train and return the model."""
    local.train()
    return local.reply()


ALGORITHM = Algorithm("fedavg", "FedAvg", train_client)

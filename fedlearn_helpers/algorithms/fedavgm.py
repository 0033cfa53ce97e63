"""FedAvgM: FedAvg with momentum on the server, so that rounds remember the direction of earlier ones.

    v <- beta v + (w_t - sum_k (n_k / n) w_k),    w_{t+1} = w_t - eta_s v

Clients do as in FedAvg. The server is Flower's `FedAvgM`. beta = 0 and eta_s = 1 is FedAvg.

Source: Hsu et al. 2019, https://arxiv.org/abs/1909.06335, section 4.
"""

from flwr.serverapp.strategy import FedAvgM

from fedlearn_helpers.algorithms.aggregation import averaging
from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.fedavg import train_client

ALGORITHM = Algorithm(
    "fedavgm",
    "FedAvgM",
    train_client,
    lambda local_config, settings, **options: averaging(FedAvgM)(**settings, **options),
    {
        "server_momentum": Setting(0.9, most=1.0),
        "server_learning_rate": Setting(1.0, may_be_least=False),
    },
    any_model=False,
)

"""FedProx: clients are pulled back to the model that they received, and may do part of the work.

    client k:  min_w  F_k(w) + (mu / 2) ||w - w_t||^2
    server:    w_{t+1} = sum_k (n_k / n) w_k,  partial work included

The server is Flower's `FedProx`: FedAvg that sends mu. With mu = 0, or with a single local step, it is FedAvg exactly:
the pull is mu (w - w_t), and before the first step w = w_t.

Source: Li et al. 2020, https://arxiv.org/abs/1812.06127, algorithm 2.
"""

from flwr.app import RecordDict
from flwr.serverapp.strategy import FedProx
from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import averaging
from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.local import LocalTraining, setting


def add_pull(gradient: Tensor, w: Tensor, w_t: Tensor, *, mu: float) -> None:
    """Add the gradient of the proximal term to that of the loss."""
    gradient.add_(w - w_t, alpha=mu)


def train_client(local: LocalTraining) -> RecordDict:
    """Train with the proximal term: before every step, each weight's gradient is pulled back."""
    local.before_each_step(add_pull, local.start, mu=setting(local.config, "proximal-mu"))
    local.train()
    return local.reply()


ALGORITHM = Algorithm(
    "fedprox",
    "FedProx",
    train_client,
    lambda local_config, settings, **options: averaging(FedProx)(proximal_mu=settings["mu"], **options),
    {"mu": Setting(0.1)},
)

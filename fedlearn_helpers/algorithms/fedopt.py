"""FedAdam, FedYogi and FedAdagrad: the server takes the clients' average as a gradient, and an adaptive step with it.

    Delta = sum_k (n_k / n) w_k - w_t,    m <- beta_1 m + (1 - beta_1) Delta
    v <- beta_2 v + (1 - beta_2) Delta^2             FedAdam
    v <- v - (1 - beta_2) Delta^2 sign(v - Delta^2)  FedYogi
    v <- v + Delta^2                                 FedAdagrad, with m = Delta
    w_{t+1} = w_t + eta m / (sqrt(v) + tau)

Clients do as in FedAvg. The servers are Flower's. Its FedAdam corrects for a bias, which the paper does not: in round t
it takes eta sqrt(1 - beta_2^(t + 1)) / (1 - beta_1^(t + 1)) in place of eta.

Source: Reddi et al. 2021, https://arxiv.org/abs/2003.00295, algorithm 2.
"""

from flwr.serverapp.strategy import FedAdagrad, FedAdam, FedAvg, FedYogi

from fedlearn_helpers.algorithms.aggregation import averaging
from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.fedavg import train_client


def _adaptive(name: str, strategy: type[FedAvg]) -> Algorithm:
    return Algorithm(
        name,
        strategy.__name__,
        train_client,
        lambda local_config, settings, **options: averaging(strategy)(**settings, **options),
        {"eta": Setting(0.01, may_be_least=False), "tau": Setting(0.001, may_be_least=False)},
        any_model=False,
    )


FEDADAM = _adaptive("fedadam", FedAdam)
FEDYOGI = _adaptive("fedyogi", FedYogi)
FEDADAGRAD = _adaptive("fedadagrad", FedAdagrad)

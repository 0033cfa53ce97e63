"""FedDyn: each client's loss is bent so that the optimum of all is an optimum for it, too.

    client k:  theta_k = argmin  L_k(theta) - <g_k, theta> + (alpha / 2) ||theta - w_t||^2     (some epochs of SGD)
               g_k <- g_k - alpha (theta_k - w_t)
    server:    h <- h - alpha (1 / N) sum_k (theta_k - w_t)        over those that took part, of N clients
               w_{t+1} = mean_k theta_k - h / alpha

g_k and h start at zero; clients keep g_k in their state. A round sends as much as FedAvg.

Source: Acar et al. 2021, https://arxiv.org/abs/2111.04263, algorithm 1.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid
from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import Answer, Averaging, state_of, uniform_mean
from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.local import LocalTraining, setting, tensors
from fedlearn_helpers.errors import InputError

ALPHA = "feddyn-alpha"
GRADIENT = "feddyn-gradient"  # g_k, in the client's state


def bend(gradient: Tensor, theta: Tensor, g: Tensor, w_t: Tensor, *, alpha: float) -> None:
    """Make the loss's gradient that of the bent loss: less g_k, plus alpha (theta - w_t)."""
    gradient.sub_(g).add_(theta - w_t, alpha=alpha)


def train_client(local: LocalTraining) -> RecordDict:
    """Train on the bent loss, and update the client's own gradient."""
    alpha = setting(local.config, ALPHA)
    g = tensors(local.state, GRADIENT, like=local.start)
    local.before_each_step(bend, g, local.start, alpha=alpha)
    local.train()
    new_g = {
        name: g[name] - alpha * (theta.detach() - local.start[name]) for name, theta in local.model.named_parameters()
    }
    local.state[GRADIENT] = ArrayRecord(new_g)
    return local.reply()


class FedDyn(Averaging):
    """The server's side of FedDyn.

    Args:
        alpha: > 0; a larger one keeps clients closer to the received model.
        options: of Flower's `FedAvg`. Models are averaged uniformly, metrics by examples.

    Raises:
        InputError: alpha not above 0.
    """

    aggregator = staticmethod(uniform_mean)

    def __init__(self, *, alpha: float, **options: Any) -> None:
        if not alpha > 0:
            raise InputError(f"alpha must be > 0, got {alpha}")
        super().__init__(**options)
        self._alpha = alpha
        self._h: dict[str, Tensor] | None = None

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the model and alpha."""
        config[ALPHA] = self._alpha
        return super().configure_train(server_round, arrays, config, grid)

    def combine(self, answers: Sequence[Answer]) -> dict[str, Tensor]:
        """Update h and the model."""
        w, theta_mean = state_of(self.sent), super().combine(answers)
        share = len(answers) / self.num_clients
        h = self._h or {name: torch.zeros_like(tensor) for name, tensor in w.items()}
        self._h = {name: h[name] - self._alpha * share * (theta_mean[name] - w[name]) for name in w}
        return {name: theta_mean[name] - self._h[name] / self._alpha for name in w}


ALGORITHM = Algorithm(
    "feddyn",
    "FedDyn",
    train_client,
    lambda local_config, settings, **options: FedDyn(**settings, **options),
    {"alpha": Setting(0.1, may_be_least=False)},
    any_model=False,
    keeps_state=True,
)

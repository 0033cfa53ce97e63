"""FedDyn: each client's loss is bent so that the optimum of all is an optimum for it, too.

    client k:  theta_k = argmin  L_k(theta) - <g_k, theta> + (alpha / 2) ||theta - w_t||^2     (some epochs of SGD)
               g_k <- g_k - alpha (theta_k - w_t)
    server:    h <- h - alpha (1 / N) sum_k (theta_k - w_t)        over those that took part, of N clients
               w_{t+1} = mean_k theta_k - h / alpha

g_k and h start at zero; clients keep g_k in their state. A round sends as much as FedAvg.

Source: Acar et al. 2021, https://arxiv.org/abs/2111.04263, algorithm 1.
"""

from collections.abc import Iterable

import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from fedlearn_helpers.algorithms.aggregation import answers, mean, state_of
from fedlearn_helpers.algorithms.local import LocalTraining, setting, tensors
from fedlearn_helpers.errors import InputError

ALPHA = "feddyn-alpha"
GRADIENT = "feddyn-gradient"  # g_k, in the client's state


def train_client(local: LocalTraining) -> RecordDict:
    """Train on the bent loss, whose gradient is that of the loss, less g_k, plus alpha (theta - w_t)."""
    alpha = setting(local.config, ALPHA)
    g = tensors(local.state, GRADIENT, like=local.start)

    def bend() -> None:
        for name, theta in local.model.named_parameters():
            theta.grad.sub_(g[name]).add_(theta.detach() - local.start[name], alpha=alpha)

    local.before_each_step(bend)
    local.train()
    new_g = {
        name: g[name] - alpha * (theta.detach() - local.start[name]) for name, theta in local.model.named_parameters()
    }
    local.state[GRADIENT] = ArrayRecord(new_g)
    return local.reply()


class FedDyn(FedAvg):
    """The server's side of FedDyn.

    Args:
        alpha: > 0; a larger one keeps clients closer to the received model.
        options: of Flower's `FedAvg`. Models are averaged uniformly, metrics by examples.

    Raises:
        InputError: alpha not above 0.
    """

    def __init__(self, *, alpha: float, **options: object) -> None:
        if not alpha > 0:
            raise InputError(f"alpha must be > 0, got {alpha}")
        super().__init__(**options)
        self._alpha = alpha
        self._h: dict[str, torch.Tensor] | None = None

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the model and alpha."""
        self._model, self._num_clients = arrays, len(list(grid.get_node_ids()))
        config[ALPHA] = self._alpha
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Update h and the model."""
        replies = list(replies)
        _, metrics = super().aggregate_train(server_round, replies)  # checks the replies, averages the metrics
        contents = answers(replies)
        if not contents:
            return None, None
        w, theta_mean = state_of(self._model), mean([state_of(content["arrays"]) for content in contents])
        share = len(contents) / self._num_clients
        h = self._h or {name: torch.zeros_like(tensor) for name, tensor in w.items()}
        self._h = {name: h[name] - self._alpha * share * (theta_mean[name] - w[name]) for name in w}
        return ArrayRecord({name: theta_mean[name] - self._h[name] / self._alpha for name in w}), metrics

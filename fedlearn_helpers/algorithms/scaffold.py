"""SCAFFOLD: control variates say in which direction a client drifts, and every step is corrected by them.

    client i:  y <- w_t;  K times:  y <- y - eta (g_i(y) - c_i + c)
               c_i' = c_i - c + (w_t - y) / (K eta)
    server:    w_{t+1} = w_t + eta_g mean_i (y_i - w_t)
               c <- c + (S / N) mean_i (c_i' - c_i)        S of N clients took part

With momentum the correction is part of the gradient, and in place of K stands what the steps add up to, FedNova's
||a||_1: c_i' is then a mean of the client's gradients however many steps it took.

c estimates the gradient of all clients, c_i that of client i; all start at zero. So the first round is FedAvg with a
uniform mean. Clients keep c_i in their state, and a round sends twice as many numbers as FedAvg in both directions.

Source: Karimireddy et al. 2020, https://arxiv.org/abs/1910.06378, algorithm 1, option II.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid
from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import Answer, Averaging, state_of, uniform_mean
from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.fednova import norm_of_steps
from fedlearn_helpers.algorithms.local import LocalTraining, tensors

CONTROL = "control"  # c, from the server
OWN_CONTROL = "own-control"  # c_i, in the client's state
CHANGE = "control-change"  # c_i' - c_i, to the server


def correct_gradient(gradient: Tensor, y: Tensor, c: Tensor, c_i: Tensor) -> None:
    """Correct a gradient, before a step."""
    gradient.add_(c - c_i)


def correct_step(y: Tensor, c: Tensor, c_i: Tensor, *, eta: float) -> None:
    """Correct a weight, after a step."""
    y.sub_(c - c_i, alpha=eta)


def train_client(local: LocalTraining) -> RecordDict:
    """Train with corrected steps, and update the client's own control variate."""
    eta, momentum = local.local_config.learning_rate, local.local_config.momentum
    c = tensors(local.content, CONTROL, like=local.start)
    c_i = tensors(local.state, OWN_CONTROL, like=local.start)
    if momentum:  # behind the step, the correction would count for less than the gradients that it corrects
        local.before_each_step(correct_gradient, c, c_i)
    else:  # the same step, and the rounding that published numbers have
        local.after_each_step(correct_step, c, c_i, eta=eta)
    local.train()
    way = norm_of_steps(local.steps, momentum) * eta
    new_c_i = {
        name: c_i[name] - c[name] + (local.start[name] - y.detach()) / way for name, y in local.model.named_parameters()
    }
    local.state[OWN_CONTROL] = ArrayRecord(new_c_i)
    content = local.reply()
    content[CHANGE] = ArrayRecord({name: new_c_i[name] - c_i[name] for name in c_i})
    return content


class Scaffold(Averaging):
    """The server's side of SCAFFOLD.

    Args:
        server_learning_rate: eta_g; 1 takes the mean of the clients' models.
        options: of Flower's `FedAvg`. Models are averaged uniformly, metrics by examples. An aggregator in place of the
            uniform mean combines the changes of the control variates, too, so that the clients' corrections cancel in
            the same mean.
    """

    aggregator = staticmethod(uniform_mean)
    extra_records = (CHANGE,)

    def __init__(self, *, server_learning_rate: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self._eta_g = server_learning_rate
        self._control: dict[str, Tensor] | None = None

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the model, and the server's control variate from the second round on: before that it is zero."""
        messages = list(super().configure_train(server_round, arrays, config, grid))
        if self._control is not None:
            control = ArrayRecord(self._control)
            for message in messages:
                message.content[CONTROL] = control
        return messages

    def combine(self, answers: Sequence[Answer]) -> dict[str, Tensor]:
        """Update the model and the control variate."""
        w, y_mean = state_of(self.sent), super().combine(answers)
        changes, weights = [answer.extras[CHANGE] for answer in answers], [answer.weight for answer in answers]
        change = self.aggregator(changes, weights)
        share = len(answers) / self.num_clients
        c = self._control or {name: torch.zeros_like(tensor) for name, tensor in change.items()}
        self._control = {name: c[name] + share * change[name] for name in c}
        return {name: w[name] + self._eta_g * (y_mean[name] - w[name]) for name in w}


ALGORITHM = Algorithm(
    "scaffold",
    "SCAFFOLD",
    train_client,
    lambda local_config, settings, **options: Scaffold(**settings, **options),
    {"server_learning_rate": Setting(1.0, may_be_least=False)},
    any_model=False,
    keeps_state=True,
)

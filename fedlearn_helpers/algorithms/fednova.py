"""FedNova: clients that took more steps do not pull harder.

    client i:  sends w_i and the norm ||a_i||_1 of its steps; for plain SGD that is their number tau_i
    server:    d_i = (w_t - w_i) / ||a_i||_1,    w_{t+1} = w_t - tau_eff sum_i (n_i / n) d_i,
               tau_eff = sum_i (n_i / n) ||a_i||_1

With momentum rho, ||a||_1 = [tau - rho (1 - rho^tau) / (1 - rho)] / (1 - rho). Where all clients take the same number
of steps it is FedAvg exactly. Where they do not, FedAvg minimizes another function than it seems to, in which a client
weighs as n_i tau_i, and FedNova does not.

Source: Wang et al. 2020, https://arxiv.org/abs/2007.07481, sections 4 and 5.
"""

from collections.abc import Iterable

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from fedlearn_helpers.algorithms.aggregation import answers, state_of
from fedlearn_helpers.algorithms.local import LocalTraining

NORM = "norm-of-steps"


def train_client(local: LocalTraining) -> RecordDict:
    """Train, and say how much training it was."""
    local.train()
    return local.reply(**{NORM: norm_of_steps(local.steps, local.recipe.momentum)})


def norm_of_steps(steps: int, momentum: float) -> float:
    """Return ||a||_1 for so many steps of SGD with this momentum in [0, 1): without it, the number of steps."""
    rho = momentum
    return (steps - rho * (1 - rho**steps) / (1 - rho)) / (1 - rho)


class FedNova(FedAvg):
    """The server's side of FedNova; takes the options of Flower's `FedAvg`."""

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the model, and remember it."""
        self._model = arrays
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Average the clients' changes per step, then take as many steps as the clients did on average."""
        replies = list(replies)
        _, metrics = super().aggregate_train(server_round, replies)  # checks the replies, averages the metrics
        contents = answers(replies)
        if not contents:
            return None, None
        total = sum(content["metrics"][self.weighted_by_key] for content in contents)
        shares = [content["metrics"][self.weighted_by_key] / total for content in contents]
        norms = [content["metrics"][NORM] for content in contents]
        models = [state_of(content["arrays"]) for content in contents]
        tau_eff = sum(share * norm for share, norm in zip(shares, norms, strict=True))
        w = state_of(self._model)
        new = {}
        for name in w:
            direction = sum(
                share / norm * (w[name] - w_i[name]) for share, norm, w_i in zip(shares, norms, models, strict=True)
            )
            new[name] = w[name] - tau_eff * direction
        return ArrayRecord(new), metrics

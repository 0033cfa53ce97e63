"""FedNova: clients that took more steps do not pull harder.

    client i:  sends w_i and the norm ||a_i||_1 of its steps; for plain SGD that is their number tau_i
    server:    d_i = (w_t - w_i) / ||a_i||_1,    w_{t+1} = w_t - tau_eff sum_i (n_i / n) d_i,
               tau_eff = sum_i (n_i / n) ||a_i||_1

With momentum rho, ||a||_1 = [tau - rho (1 - rho^tau) / (1 - rho)] / (1 - rho). Where all clients take the same number
of steps it is FedAvg exactly. Where they do not, FedAvg minimizes another function than it seems to, in which a client
weighs as n_i tau_i, and FedNova does not.

Source: Wang et al. 2020, https://arxiv.org/abs/2007.07481, sections 4 and 5.
"""

from collections.abc import Sequence

from flwr.app import RecordDict
from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import Answer, Averaging, shares_of, state_of, weighted_mean, weighted_sum
from fedlearn_helpers.algorithms.algorithm import Algorithm
from fedlearn_helpers.algorithms.local import LocalTraining

NORM = "norm-of-steps"


def train_client(local: LocalTraining) -> RecordDict:
    """Train, and say how much training it was."""
    local.train()
    return local.reply(**{NORM: norm_of_steps(local.steps, local.local_config.momentum)})


def norm_of_steps(steps: int, momentum: float) -> float:
    """Return ||a||_1 for so many steps of SGD with this momentum in [0, 1): without it, the number of steps."""
    rho = momentum
    return (steps - rho * (1 - rho**steps) / (1 - rho)) / (1 - rho)


class FedNova(Averaging):
    """The server's side of FedNova; takes the options of Flower's `FedAvg`."""

    needed_metrics = (NORM,)

    def combine(self, answers: Sequence[Answer]) -> dict[str, Tensor]:
        """Average the clients' changes per step, then take as many steps as the clients did on average.

        Who took no step has no change per step, and does not count.
        """
        w = state_of(self.sent)
        answers = [answer for answer in answers if answer.metrics[NORM] > 0]
        if not answers:
            return w
        weights, norms = [answer.weight for answer in answers], [answer.metrics[NORM] for answer in answers]
        shares = shares_of(weights)
        changes = [{name: w[name] - answer.state[name] for name in w} for answer in answers]
        if self.aggregator is weighted_mean:  # one factor for each change, so that it is rounded once
            direction = weighted_sum(changes, [share / norm for share, norm in zip(shares, norms, strict=True)])
        else:
            steps = [{name: change[name] / norm for name in w} for change, norm in zip(changes, norms, strict=True)]
            direction = self.aggregator(steps, weights)
        tau_eff = sum(share * norm for share, norm in zip(shares, norms, strict=True))
        return {name: w[name] - tau_eff * direction[name] for name in w}


ALGORITHM = Algorithm(
    "fednova", "FedNova", train_client, lambda local_config, settings, **options: FedNova(**options), any_model=False
)

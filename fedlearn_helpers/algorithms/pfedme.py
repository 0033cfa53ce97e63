"""pFedMe: the global model is a good place from which to make a short trip, and each client's own model is the trip.

    own model:  theta(w) = argmin_theta  F_k(theta) + (lambda / 2) ||theta - w||^2
    client k:   for each batch:  theta <- K steps towards theta(w) on this batch
                                 w     <- w - eta lambda (w - theta)
    server:     w_{t+1} = sum_k (n_k / n) w_k

lambda (w - theta) is the gradient, at w, of the least value that F_k(theta) + (lambda / 2) ||theta - w||^2 can have: of
client k's Moreau envelope. A large lambda makes trips short: theta = w. A client keeps nothing between rounds: theta
follows from w and the client's data.

The steps towards theta(w) take the pull of lambda implicitly, theta <- (theta - a grad + a lambda w) / (1 + a lambda):
the same point of rest as with plain steps, and stable for every lambda. The paper leaves the inner solver open; it
averages models uniformly, and can move the server's model by a part of the way; neither is done here.

Source: Dinh et al. 2020, https://arxiv.org/abs/2006.08848, algorithm 1.
"""

from collections.abc import Mapping

from flwr.app import RecordDict
from torch import Tensor

from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.arithmetic import NO_BUFFERS, Loss, Parameters, gradient, moved
from fedlearn_helpers.algorithms.local import LocalTraining, setting
from fedlearn_helpers.algorithms.own_parts import adaptation_epochs

LAMBDA, INNER_STEPS = "lambda", "inner-steps"  # in a message's config


def step_towards_own(
    loss: Loss,
    theta: Mapping[str, Tensor],
    w: Mapping[str, Tensor],
    batch: Tensor,
    *,
    lambda_: float,
    rate: float,
    steps: int,
) -> Parameters:
    """Return theta after some steps on F(theta) + (lambda / 2) ||theta - w||^2.

    Args:
        loss: F, of the model with some parameters on a batch.
        theta: where to start.
        w: the anchor.
        batch: whatever `loss` takes.
        lambda_: >= 0.
        rate: of the steps, > 0.
        steps: K, >= 1.
    """
    weight = 1 / (1 + rate * lambda_)
    for _ in range(steps):
        ahead = moved(theta, gradient(loss, theta, batch), -rate)
        theta = {name: weight * (tensor + rate * lambda_ * w[name]) for name, tensor in ahead.items()}
    return dict(theta)


def train_client(local: LocalTraining) -> RecordDict:
    """Move the received model by the gradient of the Moreau envelope, batch after batch."""
    lambda_ = setting(local.config, LAMBDA)
    w, theta = local.start, local.start
    for (batch,) in local.batches(gradients=_inner_steps(local)):
        theta = _step(local, theta, w, batch)
        back = {name: tensor - theta[name] for name, tensor in w.items()}
        w = moved(w, back, -local.local_config.learning_rate * lambda_)
    local.load(w)
    return local.reply()


def adapt(local: LocalTraining) -> None:
    """Find theta(w) for the received w, approximately: K steps on each batch."""
    theta = local.start
    for (batch,) in local.batches(gradients=_inner_steps(local), epochs=adaptation_epochs(local)):
        theta = _step(local, theta, local.start, batch)
    local.load(theta)


def _step(local: LocalTraining, theta: Parameters, w: Parameters, batch: Tensor) -> Parameters:
    return step_towards_own(
        local.loss,
        theta,
        w,
        batch,
        lambda_=setting(local.config, LAMBDA),
        rate=local.local_config.learning_rate,
        steps=_inner_steps(local),
    )


def _inner_steps(local: LocalTraining) -> int:
    return int(setting(local.config, INNER_STEPS))


ALGORITHM = Algorithm(
    "pfedme",
    "pFedMe",
    train_client,
    settings={LAMBDA: Setting(15.0, may_be_least=False), INNER_STEPS: Setting(3, least=1, whole=True)},
    gradients=lambda epochs, settings: int(settings[INNER_STEPS]) * epochs,
    adapt=adapt,
    any_model=False,
    why_no_buffers=NO_BUFFERS,
    plain_steps=True,
)

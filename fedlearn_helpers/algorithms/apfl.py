"""APFL: a client uses a mixture of the global model and one of its own.

    client k:  v_bar = alpha v_k + (1 - alpha) w            the mixture, which is used
               w   <- w   - eta grad F_k(w)                 sent back to be averaged
               v_k <- v_k - eta alpha grad F_k(v_bar)       kept

alpha = 0 is the global model, alpha = 1 training alone. The gradient for v_k is taken at the mixture: v_k learns what
w lacks. v_k starts as the first model that the client receives.

alpha is the same for all clients and stays as it is given. With learn-alpha = 1 each client only starts with it, and
takes one step a round, on its first batch:

               alpha_k <- alpha_k - eta <grad F_k(v_bar), v_k - w>,  not below 0 and not above 1

which is the gradient of F_k(v_bar) by alpha. It costs one more gradient in a round, where the message allows it.

Source: Deng et al. 2020, https://arxiv.org/abs/2003.13461, algorithm 1; the learned alpha is "adaptive" in its title.
"""

from typing import cast

from flwr.app import ArrayRecord, MetricRecord, RecordDict
from torch import Tensor

from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.arithmetic import NO_BUFFERS, Loss, Parameters, gradient, mixed, moved
from fedlearn_helpers.algorithms.local import LocalTraining, setting, tensors
from fedlearn_helpers.algorithms.own_parts import OWN, adaptation_epochs

ALPHA, LEARN_ALPHA = "alpha", "learn-alpha"  # in a message's config; the first also in a client's state
GRADIENTS = 2  # of every batch: at w, and at the mixture


def step(
    loss: Loss, w: Parameters, v: Parameters, batch: Tensor, *, alpha: float, eta: float
) -> tuple[Parameters, Parameters]:
    """Return w and v after one step of each on the same batch.

    Args:
        loss: of the model with some parameters on a batch.
        w: the client's copy of the global model.
        v: the client's own model.
        batch: whatever `loss` takes.
        alpha: share of the own model in the mixture, in [0, 1].
        eta: learning rate, > 0.
    """
    at_mixture = gradient(loss, mixed(v, w, alpha), batch)
    return moved(w, gradient(loss, w, batch), -eta), moved(v, at_mixture, -eta * alpha)


def better_alpha(loss: Loss, w: Parameters, v: Parameters, batch: Tensor, *, alpha: float, eta: float) -> float:
    """Return alpha after one step on the loss of the mixture; the arguments are those of `step`."""
    at_mixture = gradient(loss, mixed(v, w, alpha), batch)
    slope = sum(float((at_mixture[name] * (v[name] - w[name])).sum()) for name in w)
    return min(max(alpha - eta * slope, 0.0), 1.0)


def train_client(local: LocalTraining) -> RecordDict:
    """Train the client's copy of the global model and its own model, on the same batches."""
    w, v, alpha = _train(local)
    local.state[OWN] = ArrayRecord(v)
    local.state[ALPHA] = MetricRecord({ALPHA: alpha})
    local.load(w)
    return local.reply(**{ALPHA: alpha})


def adapt(local: LocalTraining) -> None:
    """Mix the client's own model with the received one; a client that never trained trains its own first."""
    if OWN in local.state:
        v, alpha = _own(local), _alpha(local)
    else:
        _, v, alpha = _train(local, adaptation_epochs(local))
    local.load(mixed(v, local.start, alpha))


def _own(local: LocalTraining) -> Parameters:
    return tensors(local.state, OWN, like=local.start) if OWN in local.state else local.start


def _alpha(local: LocalTraining) -> float:
    if ALPHA in local.state:
        return float(cast(float, local.state.metric_records[ALPHA][ALPHA]))
    return setting(local.config, ALPHA)


def _train(local: LocalTraining, epochs: int | None = None) -> tuple[Parameters, Parameters, float]:
    w, v, alpha = local.start, _own(local), _alpha(local)
    eta = local.local_config.learning_rate
    batches = [batch for (batch,) in local.batches(gradients=GRADIENTS, epochs=epochs)]
    if setting(local.config, LEARN_ALPHA) and batches and local.steps < local.allowed:
        local.steps += 1
        alpha = better_alpha(local.loss, w, v, batches[0], alpha=alpha, eta=eta)
    w, v = local.repeat(step, (w, v), batches, alpha=alpha, eta=eta)
    return w, v, alpha


ALGORITHM = Algorithm(
    "apfl",
    "APFL",
    train_client,
    settings={
        ALPHA: Setting(0.5, most=1.0, may_be_most=True),
        LEARN_ALPHA: Setting(0.0, most=1.0, may_be_most=True, whole=True),
    },
    adapt=adapt,
    gradients=lambda epochs, settings: GRADIENTS * epochs,
    any_model=False,
    why_no_buffers=NO_BUFFERS,
    plain_steps=True,
    keeps_state=True,
)

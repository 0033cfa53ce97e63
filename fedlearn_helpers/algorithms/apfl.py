"""APFL: a client uses a mixture of the global model and one of its own.

    client k:  v_bar = alpha v_k + (1 - alpha) w            the mixture, which is used
               w   <- w   - eta grad F_k(w)                 sent back to be averaged
               v_k <- v_k - eta alpha grad F_k(v_bar)       kept

alpha = 0 is the global model, alpha = 1 training alone. The gradient for v_k is taken at the mixture: v_k learns what
w lacks. v_k starts as the first model that the client receives. The paper can also learn alpha; here it is given.

Source: Deng et al. 2020, https://arxiv.org/abs/2003.13461, algorithm 1.
"""

from flwr.app import ArrayRecord, RecordDict
from torch import Tensor

from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.arithmetic import NO_BUFFERS, Loss, Parameters, gradient, mixed, moved
from fedlearn_helpers.algorithms.local import LocalTraining, setting, tensors
from fedlearn_helpers.algorithms.own_parts import OWN, adaptation_epochs

ALPHA = "alpha"  # in a message's config
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


def train_client(local: LocalTraining) -> RecordDict:
    """Train the client's copy of the global model and its own model, on the same batches."""
    w, v = _train(local)
    local.state[OWN] = ArrayRecord(v)
    local.load(w)
    return local.reply()


def adapt(local: LocalTraining) -> None:
    """Mix the client's own model with the received one; a client that never trained trains its own first."""
    if OWN in local.state:
        v = _own(local)
    else:
        _, v = _train(local, adaptation_epochs(local))
    local.load(mixed(v, local.start, setting(local.config, ALPHA)))


def _own(local: LocalTraining) -> Parameters:
    return tensors(local.state, OWN, like=local.start) if OWN in local.state else local.start


def _train(local: LocalTraining, epochs: int | None = None) -> tuple[Parameters, Parameters]:
    w, v = local.start, _own(local)
    alpha, eta = setting(local.config, ALPHA), local.local_config.learning_rate
    for (batch,) in local.batches(gradients=GRADIENTS, epochs=epochs):
        w, v = step(local.loss, w, v, batch, alpha=alpha, eta=eta)
    return w, v


ALGORITHM = Algorithm(
    "apfl",
    "APFL",
    train_client,
    settings={ALPHA: Setting(0.5, most=1.0, may_be_most=True)},
    adapt=adapt,
    gradients=lambda epochs, settings: GRADIENTS * epochs,
    any_model=False,
    why_no_buffers=NO_BUFFERS,
    plain_steps=True,
)

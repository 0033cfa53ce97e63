"""Per-FedAvg: FedAvg looks for a good model; this looks for a good model *after one step* on the client's own data.

    min_w  mean_k F_k(w - alpha grad F_k(w))                                    (MAML's objective, one client a task)

    client k:  w <- w - beta (I - alpha H(w; D'')) grad F_k(w - alpha grad F_k(w; D); D')     on three batches
    server:    averages the w as FedAvg does

H is the Hessian, taken at w. Three ways to treat it:
    exact         H times a vector by a second pass backward
    hessian free  [grad F(w + delta u) - grad F(w - delta u)] / (2 delta) for H u, two gradients
    first order   left out: w <- w - beta grad F_k(w - alpha grad F_k(w; D); D')

The model is meant to be used after adaptation, and must be measured so. alpha = 0 is FedAvg with rate beta.

Source: Fallah et al. 2020, https://arxiv.org/abs/2002.07948, algorithm 1 and section 5; MAML is Finn et al. 2017,
https://arxiv.org/abs/1703.03400.
"""

from collections.abc import Mapping
from functools import partial
from typing import Literal, get_args

from flwr.app import RecordDict
from torch import Tensor

from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.arithmetic import NO_BUFFERS, Loss, Parameters, gradient, hessian_times, moved
from fedlearn_helpers.algorithms.local import LocalTraining, setting
from fedlearn_helpers.algorithms.own_parts import adaptation_epochs
from fedlearn_helpers.errors import check_one_of

Hessian = Literal["exact", "hessian free", "first order"]

ALPHA = "alpha"  # in a message's config
GRADIENTS: dict[Hessian, int] = {"exact": 4, "hessian free": 4, "first order": 2}
"""Of batches in a step: one to adapt, one there, and two for the Hessian times a vector, in either way."""
_DISTANCE = 1e-6  # between w and w + delta u: ReLU has kinks, and points farther apart lie on two sides of them


def meta_gradient(
    loss: Loss, w: Mapping[str, Tensor], batches: tuple[Tensor, Tensor, Tensor], *, alpha: float, hessian: Hessian
) -> Parameters:
    """Return (I - alpha H(w; D'')) grad F(w - alpha grad F(w; D); D').

    Args:
        loss: F, of the model with some parameters on a batch.
        w: parameters by name.
        batches: D, D' and D''.
        alpha: rate of the step to adapt, >= 0.
        hessian: how to treat H.

    Raises:
        InputError: an unknown way to treat H.
    """
    check_one_of("hessian", hessian, get_args(Hessian))
    adapt_on, learn_on, correct_on = batches
    adapted = moved(w, gradient(loss, w, adapt_on), -alpha)
    u = gradient(loss, adapted, learn_on)
    if hessian == "first order":
        return u
    times = hessian_times if hessian == "exact" else hessian_free_times
    return moved(u, times(loss, w, correct_on, u), -alpha)


def hessian_free_times(loss: Loss, w: Mapping[str, Tensor], batch: Tensor, vector: Mapping[str, Tensor]) -> Parameters:
    """Return the Hessian at w times a vector, from the gradients a little ahead and a little behind.

    They hardly differ, so they are computed in float64: `loss` must take parameters of that dtype.
    """
    length = sum(float(tensor.pow(2).sum()) for tensor in vector.values()) ** 0.5
    if length == 0:
        return dict(vector)
    delta = _DISTANCE / length
    middle, along = ({name: tensor.double() for name, tensor in tensors.items()} for tensors in (w, vector))
    ahead = gradient(loss, moved(middle, along, delta), batch)
    behind = gradient(loss, moved(middle, along, -delta), batch)
    return {name: ((ahead[name] - behind[name]) / (2 * delta)).to(w[name].dtype) for name in ahead}


def train_client(local: LocalTraining, hessian: Hessian) -> RecordDict:
    """Take steps of the meta-gradient, each on three independent batches."""
    w = local.start
    alpha, beta = setting(local.config, ALPHA), local.local_config.learning_rate
    for adapt_on, learn_on, correct_on in local.batches(3, gradients=GRADIENTS[hessian]):
        batches = adapt_on, learn_on, correct_on
        w = moved(w, meta_gradient(local.loss, w, batches, alpha=alpha, hessian=hessian), -beta)
    local.load(w)
    return local.reply()


def adapt(local: LocalTraining) -> None:
    """Take the steps for which the model was made: of rate alpha, on the client's data."""
    w, alpha = local.start, setting(local.config, ALPHA)
    for (batch,) in local.batches(gradients=1, epochs=adaptation_epochs(local)):
        w = moved(w, gradient(local.loss, w, batch), -alpha)
    local.load(w)


def _entry(name: str, title: str, hessian: Hessian) -> Algorithm:
    return Algorithm(
        name,
        title,
        partial(train_client, hessian=hessian),
        settings={ALPHA: Setting(0.05)},
        gradients=lambda epochs, settings: GRADIENTS[hessian] * epochs,
        adapt=adapt,
        any_model=False,
        why_no_buffers=NO_BUFFERS,
        plain_steps=True,
    )


FIRST_ORDER = _entry("perfedavg", "Per-FedAvg", "first order")
HESSIAN_FREE = _entry("perfedavg-hf", "Per-FedAvg (HF)", "hessian free")
EXACT = _entry("perfedavg-exact", "Per-FedAvg (exact)", "exact")

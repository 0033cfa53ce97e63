"""Ditto: every client has a model of its own beside the global one, and is pulled towards it.

    client k:  w_k <- FedAvg's local training from w_t, sent back to be averaged
               v_k <- (v_k - eta grad F_k(v_k) + eta lambda w_t) / (1 + eta lambda)      kept, and used

v_k goes towards the least value of F_k(v) + (lambda / 2) ||v - w_t||^2. lambda = 0 is training alone; a very large
lambda gives w_t, the global model as it was received, not as this client has trained it. v_k starts as the first model
that the client receives. A round takes twice as many training steps as FedAvg, and sends the same. Where the message
allows fewer, w_k and v_k get half of them each.

The paper's step is explicit, v_k <- v_k - eta (grad F_k(v_k) + lambda (v_k - w_t)). It has the same point of rest, but
for eta lambda >= 2 it leaps over w_t, farther and farther. This one takes the pull where the step ends (an implicit,
or proximal, step), and comes to rest for every lambda.

Source: Li et al. 2021, https://arxiv.org/abs/2012.04221, algorithm 1.
"""

from flwr.app import ArrayRecord, RecordDict
from torch import Tensor

from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.local import LocalTraining, setting
from fedlearn_helpers.algorithms.own_parts import OWN, adaptation_epochs

LAMBDA = "lambda"  # in a message's config


def train_client(local: LocalTraining) -> RecordDict:
    """Train the global model, then the client's own."""
    own = local.state.array_records[OWN] if OWN in local.state else local.received
    local.train(most=local.allowed - local.allowed // 2)
    reply = local.reply()
    local.load(own.to_torch_state_dict())
    train_own(local)
    reply.metric_records["metrics"]["steps"] = local.steps
    local.state[OWN] = ArrayRecord(local.model.state_dict())
    return reply


def pull_back(v: Tensor, w_t: Tensor, *, share: float) -> None:
    """Take a weight a part of the way to the received one."""
    v.lerp_(w_t, share)


def train_own(local: LocalTraining, epochs: int | None = None) -> None:
    """Train the model; after every step it goes a part of the way to the received one."""
    pull = local.local_config.learning_rate * setting(local.config, LAMBDA)
    share = 1 - 1 / (1 + pull)  # 0 without a pull, near 1 with a strong one
    local.after_each_step(pull_back, local.start, share=share)
    local.train(epochs)


def adapt(local: LocalTraining) -> None:
    """Take the client's own model; a client that never trained has none yet, and trains it from the received one."""
    if OWN in local.state:
        local.load(local.state.array_records[OWN].to_torch_state_dict())
    else:
        train_own(local, adaptation_epochs(local))


ALGORITHM = Algorithm(
    "ditto",
    "Ditto",
    train_client,
    settings={LAMBDA: Setting(0.1)},
    gradients=lambda epochs, settings: 2 * epochs,
    adapt=adapt,
    keeps_state=True,
)

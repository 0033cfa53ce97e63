"""Ditto: every client has a model of its own beside the global one, and is pulled towards it.

    client k:  w_k <- FedAvg's local training from w_t, sent back to be averaged
               v_k <- v_k - eta (grad F_k(v_k) + lambda (v_k - w_t))      kept, and used

lambda = 0 is training alone; a large lambda gives the global model. The anchor is the model as it was received, not
as this client has trained it. v_k starts as the first model that the client receives. A round takes twice as many
training steps as FedAvg, and sends the same. Where the message allows fewer, w_k and v_k get half of them each.

Source: Li et al. 2021, https://arxiv.org/abs/2012.04221, algorithm 1.
"""

from flwr.app import ArrayRecord, RecordDict

from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.local import LocalTraining, gradient_of, setting
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


def train_own(local: LocalTraining, epochs: int | None = None) -> None:
    """Train the model, with the gradient of (lambda / 2) ||v - w_t||^2 added to that of the loss."""
    pull = setting(local.config, LAMBDA)

    def add_pull() -> None:
        for name, v in local.model.named_parameters():
            gradient_of(v).add_(v.detach() - local.start[name], alpha=pull)

    local.before_each_step(add_pull)
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
)

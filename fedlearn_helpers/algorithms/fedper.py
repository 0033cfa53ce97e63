"""FedPer: clients share the body of the network and keep its last layer, the head, for themselves.

    client k:  train body and head together, keep the head, send the body
    server:    body_{t+1} = sum_k (n_k / n) body_k

The body learns what is useful to all clients, and the head which classes this client has. Heads start from the same
first model. A client that has no head yet trains one on the received body.

Source: Arivazhagan et al. 2019, https://arxiv.org/abs/1912.00818.
"""

from flwr.app import RecordDict
from torch import nn

from fedlearn_helpers.algorithms.algorithm import Algorithm
from fedlearn_helpers.algorithms.local import LocalTraining
from fedlearn_helpers.algorithms.own_parts import adapt, keep, recall, without


def head_names(model: nn.Module) -> list[str]:
    """Return the names of the weights of the last layer, that which gives a score to each class."""
    *_, (layer, _) = ((name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear))
    return [name for name in model.state_dict() if name.startswith(f"{layer}.")]


def train_client(local: LocalTraining) -> RecordDict:
    """Train the received body and the client's own head together."""
    recall(local)
    local.train()
    keep(local)
    return local.reply()


ALGORITHM = Algorithm("fedper", "FedPer", train_client, adapt=adapt, first=without(head_names), keeps_state=True)

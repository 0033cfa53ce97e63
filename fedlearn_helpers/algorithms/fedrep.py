"""FedRep: as FedPer, but a client trains its head first, on the received body, and only then the body.

    client k:  head_k <- some epochs on the head, body = body_t fixed
               body_k <- the local epochs on the body, head = head_k fixed
    server:    body_{t+1} = sum_k (n_k / n) body_k

The order matters: the body then moves to help a head that already fits it, and never one that is out of date. Where
the message allows fewer steps, head and body share them in proportion to their epochs.

Source: Collins et al. 2021, https://arxiv.org/abs/2102.07078, algorithm 1.
"""

from flwr.app import RecordDict

from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.fedper import head_names
from fedlearn_helpers.algorithms.local import LocalTraining, setting
from fedlearn_helpers.algorithms.own_parts import adapt, keep, own_names, recall, without

HEAD_EPOCHS = "head-epochs"  # in a message's config


def train_client(local: LocalTraining) -> RecordDict:
    """Train the client's own head, then the received body."""
    recall(local)
    head, epochs = own_names(local), int(setting(local.config, HEAD_EPOCHS))
    with local.only(head):
        local.train(epochs, most=local.allowed * epochs // (epochs + local.local_config.local_epochs))
    with local.only(local.start.keys() - set(head)):
        local.train()
    keep(local)
    return local.reply()


ALGORITHM = Algorithm(
    "fedrep",
    "FedRep",
    train_client,
    settings={HEAD_EPOCHS: Setting(1, least=1, whole=True)},
    gradients=lambda epochs, settings: epochs + int(settings[HEAD_EPOCHS]),
    adapt=adapt,
    first=without(head_names),
    keeps_state=True,
)

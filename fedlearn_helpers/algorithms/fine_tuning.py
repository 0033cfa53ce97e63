"""Fine-tuning: FedAvg, and then every client trains the global model a little further on its own data.

    w_k = w_T after some epochs of SGD on client k's data

It costs no message and no change of the federation, so every other algorithm must beat it.
"""

from fedlearn_helpers.algorithms.algorithm import Algorithm
from fedlearn_helpers.algorithms.fedavg import train_client
from fedlearn_helpers.algorithms.local import LocalTraining
from fedlearn_helpers.algorithms.own_parts import adaptation_epochs


def adapt(local: LocalTraining) -> None:
    """Train the received model on the client's data."""
    local.train(adaptation_epochs(local))


ALGORITHM = Algorithm("finetune", "Fine-tuning", train_client, adapt=adapt)

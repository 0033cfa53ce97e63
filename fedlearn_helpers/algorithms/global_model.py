"""FedAvg as it is: one model for everyone, and no adaptation. What personalization must beat."""

from fedlearn_helpers.algorithms.algorithm import Algorithm
from fedlearn_helpers.algorithms.fedavg import train_client
from fedlearn_helpers.algorithms.local import LocalTraining


def adapt(local: LocalTraining) -> None:
    """Leave the received model as it is."""


ALGORITHM = Algorithm("global", "FedAvg", train_client, adapt=adapt)

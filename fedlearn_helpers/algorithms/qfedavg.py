"""q-FedAvg: clients on which the model does badly count for more.

    server:  Delta_k = F_k^q L (w_t - w_k),    h_k = q F_k^(q-1) ||L (w_t - w_k)||^2 + L F_k^q,
             w_{t+1} = w_t - sum_k Delta_k / sum_k h_k,    L = 1 / learning rate

F_k is the loss of the *received* model on all of the client's training examples. The server is Flower's `QFedAvg`. With
q = 0 it is the uniform mean of the models, in which every client counts the same, whatever its number of images.

Source: Li et al. 2020, https://arxiv.org/abs/1905.10497, algorithm 2.
"""

from flwr.app import RecordDict
from flwr.serverapp.strategy import QFedAvg

from fedlearn_helpers.algorithms.aggregation import averaging
from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.local import LocalTraining

LOSS = "train_loss"  # in a reply's metrics: that of the received model


def train_client(local: LocalTraining) -> RecordDict:
    """Measure the received model, then train it."""
    loss_before = local.training_loss()
    local.train()
    return local.reply(**{LOSS: loss_before})


ALGORITHM = Algorithm(
    "qfedavg",
    "q-FedAvg",
    train_client,
    lambda local_config, settings, **options: averaging(QFedAvg, needs=(LOSS,))(
        client_learning_rate=settings["steps"] * local_config.learning_rate,
        q=settings["q"],
        train_loss_key=LOSS,
        **options,
    ),
    {"q": Setting(1.0), "steps": Setting(1.0, may_be_least=False)},
    takes_aggregator=False,
    any_model=False,
)

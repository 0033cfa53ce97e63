"""q-FedAvg: clients on which the model does badly count for more.

    server:  Delta_k = F_k^q L (w_t - w_k),    h_k = q F_k^(q-1) ||L (w_t - w_k)||^2 + L F_k^q,
             w_{t+1} = w_t - sum_k Delta_k / sum_k h_k,    L = 1 / learning rate

F_k is the loss of the *received* model on all of the client's training images. The server is Flower's `QFedAvg`. With
q = 0 it is the uniform mean of the models, in which every client counts the same, whatever its number of images.

Source: Li et al. 2020, https://arxiv.org/abs/1905.10497, algorithm 2.
"""

from flwr.app import RecordDict

from fedlearn_helpers.algorithms.local import LocalTraining
from fedlearn_helpers.training import evaluate


def train_client(local: LocalTraining) -> RecordDict:
    """Measure the received model, then train it."""
    images, labels = local.dataset.train_images, local.dataset.train_labels
    loss_before = evaluate(local.model, images, labels, local.shard.train).loss
    local.train()
    return local.reply(train_loss=loss_before)

"""IFCA: several global models, and every client trains the one that fits it best.

    client k:  j = the cluster whose model has the least loss on client k's training data
               w_{j,k} <- local training from w_{j,t}, sent back together with j
    server:    w_{j,t+1} = sum over the clients that chose j of (n_k / n_j) w_{j,k}; nobody chose j: it stays as it was

The models must start different: of equal ones all clients choose the first, and the others stay untrained. More
clusters than kinds of clients do no harm but the bytes: a round sends all models to every client, and one back.

Source: Ghosh et al. 2020, https://arxiv.org/abs/2006.04088, algorithm 1, option II.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence

from flwr.app import ArrayRecord, RecordDict
from torch import Tensor, nn

from fedlearn_helpers.algorithms.aggregation import Answer, Averaging, State, state_of
from fedlearn_helpers.algorithms.algorithm import Algorithm, Setting
from fedlearn_helpers.algorithms.local import LocalTraining
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.models import copy_of_weights
from fedlearn_helpers.seeds import derive_seed, seeded

CLUSTER = "cluster"  # in a reply's metrics: the number that the client chose
MODEL = "model"  # in a reply: the chosen model, which is one of those that were sent


def first_models(model: nn.Module, clusters: int, seed: int) -> list[dict[str, Tensor]]:
    """Return so many models of this kind: the given one, and others with new random weights.

    Args:
        model: stays as it is.
        clusters: >= 1.
        seed: of the run.
    """
    model = copy.deepcopy(model)
    states = [copy_of_weights(model)]
    for cluster in range(1, clusters):
        with seeded(derive_seed(seed, "cluster", cluster)):
            for module in model.modules():
                if reset := getattr(module, "reset_parameters", None):
                    reset()
        states.append(copy_of_weights(model))
    return states


def join(states: Iterable[State]) -> dict[str, Tensor]:
    """Put the models of all clusters into one dictionary, as "0/fc.weight", "1/fc.weight", …"""
    return {f"{cluster}/{name}": tensor for cluster, state in enumerate(states) for name, tensor in state.items()}


def separate(joined: State) -> list[dict[str, Tensor]]:
    """Undo `join`."""
    states: dict[int, dict[str, Tensor]] = {}
    for key, tensor in joined.items():
        cluster, _, name = key.partition("/")
        states.setdefault(int(cluster), {})[name] = tensor
    return [states[cluster] for cluster in sorted(states)]


def first_of_clusters(model: nn.Module, settings: Mapping[str, float], seed: int) -> dict[str, Tensor]:
    """Return what the server holds first: a model for each cluster."""
    return join(first_models(model, int(settings["clusters"]), seed))


def choose(local: LocalTraining) -> int:
    """Put the model into place that has the least loss on the client's training data; return its number."""
    losses, states = [], separate(state_of(local.received))
    for state in states:
        local.model.load_state_dict(state)
        losses.append(local.training_loss())
    best = min(range(len(losses)), key=losses.__getitem__)
    local.load(states[best])
    return best


def train_client(local: LocalTraining) -> RecordDict:
    """Choose a model, train it, and say which it was."""
    cluster = choose(local)
    local.train()
    reply = local.reply(**{CLUSTER: cluster})
    del reply["arrays"]
    reply[MODEL] = ArrayRecord(local.model.state_dict())
    return reply


def adapt(local: LocalTraining) -> None:
    """Choose a model; a client that never trained does the same."""
    choose(local)


class IFCA(Averaging):
    """The server's side of IFCA: FedAvg within each cluster. Takes the options of Flower's `FedAvg`."""

    model_record = MODEL
    model_prefix = "0/"  # of `join`
    extra_metrics = (CLUSTER,)

    def combine(self, answers: Sequence[Answer]) -> dict[str, Tensor]:
        """Average the models of those that chose the same cluster.

        Raises:
            InputError: a client chose a cluster that does not exist.
        """
        states = separate(state_of(self.sent))
        known, chosen = range(len(states)), [answer.metrics[CLUSTER] for answer in answers]
        if unknown := [cluster for cluster in chosen if cluster not in known]:
            raise InputError(
                f"{CLUSTER} of every reply must be the number of a model, from 0 to {len(states) - 1}, "
                f"got {unknown[0]:g}"
            )
        for cluster in {int(cluster) for cluster in chosen}:
            states[cluster] = super().combine([a for a in answers if a.metrics[CLUSTER] == cluster])
        return join(states)


ALGORITHM = Algorithm(
    "ifca",
    "IFCA",
    train_client,
    lambda local_config, settings, **options: IFCA(**options),
    {"clusters": Setting(2, least=1, whole=True)},
    adapt=adapt,
    first=first_of_clusters,
)

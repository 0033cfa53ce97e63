"""IFCA: several global models, and every client trains the one that fits it best.

    client k:  j = the cluster whose model has the least loss on client k's training data
               w_{j,k} <- local training from w_{j,t}, sent back together with j
    server:    w_{j,t+1} = sum over the clients that chose j of (n_k / n_j) w_{j,k}; nobody chose j: it stays as it was

The models must start different: of equal ones all clients choose the first, and the others stay untrained. More
clusters than kinds of clients do no harm but the bytes: a round sends all models to every client, and one back.

Source: Ghosh et al. 2020, https://arxiv.org/abs/2006.04088, algorithm 1, option II.
"""

from collections.abc import Iterable, Mapping

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from torch import Tensor, nn

from fedlearn_helpers.algorithms.aggregation import answers, state_of
from fedlearn_helpers.algorithms.local import LocalTraining
from fedlearn_helpers.models import average_models
from fedlearn_helpers.seeds import derive_seed, seeded
from fedlearn_helpers.training import evaluate

CLUSTER = "cluster"  # in a reply's metrics: the number that the client chose
State = Mapping[str, Tensor]


def first_models(model: nn.Module, clusters: int, seed: int) -> list[State]:
    """Return so many models of this kind: the given one, and others with new random weights.

    Args:
        model: stays as it is.
        clusters: >= 1.
        seed: of the run.
    """
    given = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    states = [given]
    for cluster in range(1, clusters):
        with seeded(derive_seed(seed, "cluster", cluster)):
            for module in model.modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    model.load_state_dict(given)
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


def choose(local: LocalTraining) -> int:
    """Put the model into place that has the least loss on the client's training data; return its number."""
    losses, states = [], separate(local.content["arrays"].to_torch_state_dict())
    for state in states:
        local.model.load_state_dict(state)
        images, labels = local.dataset.train_images, local.dataset.train_labels
        losses.append(evaluate(local.model, images, labels, local.shard.train).loss)
    best = min(range(len(losses)), key=losses.__getitem__)
    local.load(states[best])
    return best


def train_client(local: LocalTraining) -> RecordDict:
    """Choose a model, train it, and say which it was."""
    cluster = choose(local)
    local.train()
    reply = local.reply(**{CLUSTER: cluster})
    reply["arrays"] = ArrayRecord(local.model.state_dict())
    return reply


def adapt(local: LocalTraining) -> None:
    """Choose a model; a newcomer does the same."""
    choose(local)


class IFCA(FedAvg):
    """The server's side of IFCA: FedAvg within each cluster.

    Args:
        options: of Flower's `FedAvg`.
    """

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the models of all clusters."""
        self._models = arrays
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Average the models of those that chose the same cluster."""
        replies = list(replies)
        contents = answers(replies)
        chosen = [int(content["metrics"].pop(CLUSTER)) for content in contents]
        _, metrics = super().aggregate_train(server_round, replies)  # checks the replies, averages the metrics
        if not contents:
            return None, None
        states = separate(state_of(self._models))
        for cluster in set(chosen):
            members = [content for content, choice in zip(contents, chosen, strict=True) if choice == cluster]
            examples = [member["metrics"][self.weighted_by_key] for member in members]
            average = average_models([state_of(member["arrays"]) for member in members], examples)
            states[cluster] = {name: tensor.to(states[cluster][name].dtype) for name, tensor in average.items()}
        return ArrayRecord(join(states)), metrics

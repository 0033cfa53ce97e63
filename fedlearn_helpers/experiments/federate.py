"""One experiment for all strategies: the same data, model and clients, and a strategy by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import Mod
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import Strategy
from torch import nn

from fedlearn_helpers.algorithms.local import LocalTraining, Recipe
from fedlearn_helpers.algorithms.registry import Method, find_method, new_strategy
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments.basic_client import add_evaluation
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.simulation import History, keep_result, simulate
from fedlearn_helpers.simulation.grid import OnError
from fedlearn_helpers.simulation.simulate import quiet_flower
from fedlearn_helpers.simulation.workers import Workers
from fedlearn_helpers.training import evaluate


@dataclass(frozen=True)
class Outcome:
    """What a federation reached; accuracies in [0, 1].

    Attributes:
        test_accuracy: on the test images, of the initial model and after every round.
        client_accuracy: (clients,) of the final model, on each client's validation images.
        model: the final model.
        history: all messages.
    """

    test_accuracy: tuple[float, ...]
    client_accuracy: np.ndarray
    model: ArrayRecord
    history: History


def federate(
    strategy: str | Callable[[], Strategy],
    dataset: ImageDataset,
    shards: Sequence[Shard],
    *,
    num_rounds: int,
    recipe: Recipe = Recipe(),  # noqa: B008 - frozen
    settings: Mapping[str, float] | None = None,
    fraction_train: float = 1.0,
    seed: int,
    workers: Workers = "auto",
    model: nn.Module | None = None,
    mods: Sequence[Mod] = (),
    on_error: OnError = "raise",
    label: str | None = "Round",
) -> Outcome:
    """Run a federation with a strategy.

    Args:
        strategy: a key of `METHODS`; or what returns a new Flower strategy, whose clients then train as FedAvg's do.
        dataset: all images, on the device to compute on.
        shards: one per client.
        num_rounds: >= 1.
        recipe: how clients train.
        settings: the strategy's own; defaults for those that are missing.
        fraction_train: share of the clients that train in a round, in (0, 1].
        seed: decides the first model, the order of images, and who takes part.
        workers, on_error, label: as in `simulate`.
        model: has the first weights; None means the workbook's CNN, made from the seed.
        mods: Flower's client mods, around the clients' training alone.

    Raises:
        InputError: an unknown strategy or setting, or an argument out of range.
    """
    if num_rounds < 1:
        raise InputError(f"num_rounds must be >= 1, got {num_rounds}")
    if not 0 < fraction_train <= 1:
        raise InputError(f"fraction_train must be > 0 and <= 1, got {fraction_train}")
    options = {
        "fraction_train": fraction_train,
        "fraction_evaluate": 0.0,
        "min_train_nodes": 1,
        "min_available_nodes": 1,
    }
    with quiet_flower():
        if isinstance(strategy, str):
            method = find_method(strategy)
            rules = new_strategy(strategy, recipe, settings, **options)
        else:
            method, rules = find_method("fedavg"), strategy()
    if model is None:
        model = new_cnn(dataset.image_shape, dataset.num_classes, seed).to(dataset.train_images.device)
    first = ArrayRecord(model.state_dict())
    client_app = make_client_app(method, dataset, shards, model, recipe=recipe, seed=seed, mods=mods)
    server_app = ServerApp()

    def evaluate_on_test(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        model.load_state_dict(arrays.to_torch_state_dict())
        result = evaluate(model, dataset.test_images, dataset.test_labels)
        return MetricRecord({"loss": result.loss, "accuracy": result.accuracy})

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        keep_result(rules.start(grid, first, num_rounds=num_rounds, evaluate_fn=evaluate_on_test), context)

    history = simulate(
        server_app,
        client_app,
        num_clients=len(shards),
        seed=seed,
        run_config={"num-server-rounds": num_rounds},
        workers=workers,
        on_error=on_error,
        label=label,
    )
    final = history.arrays or first  # no client ever answered: the model stays as it was
    model.load_state_dict(final.to_torch_state_dict())
    images, labels = dataset.train_images, dataset.train_labels
    return Outcome(
        test_accuracy=tuple(history.server_metrics[number]["accuracy"] for number in range(num_rounds + 1)),
        client_accuracy=np.array([evaluate(model, images, labels, shard.validation).accuracy for shard in shards]),
        model=final,
        history=history,
    )


def make_client_app(
    method: Method,
    dataset: ImageDataset,
    shards: Sequence[Shard],
    model: nn.Module,
    *,
    recipe: Recipe,
    seed: int,
    mods: Sequence[Mod] = (),
) -> ClientApp:
    """Return the ClientApp of a strategy; it runs on any Flower grid.

    Args:
        method: the strategy.
        dataset: all images, on the device to compute on.
        shards: one per client.
        model: one model for all clients; each message overwrites its weights.
        recipe: how clients train.
        seed: of the run.
        mods: Flower's client mods, around the clients' training alone.

    Raises:
        InputError: a model with buffers, where the strategy would treat them as weights.
    """
    if not method.any_model and (buffers := [name for name, _ in model.named_buffers()]):
        raise InputError(
            f"model must have no buffers, since {method.title} treats all its numbers as weights, got {buffers[0]!r}; "
            "use GroupNorm in place of BatchNorm, or fedavg or fedprox"
        )
    client_app = ClientApp()

    @client_app.train(mods=list(mods))
    def train_client(message: Message, context: Context) -> Message:
        shard = shards[context.node_config["partition-id"]]
        local = LocalTraining(message, context, dataset, shard, model, recipe, seed)
        return Message(method.train_client(local), reply_to=message)

    add_evaluation(client_app, dataset, shards, model)
    return client_app

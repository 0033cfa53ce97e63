"""One experiment for all personalization methods: a federation, and then every client measured with its own model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import Mod
from flwr.serverapp import Grid, ServerApp
from torch import Tensor, nn

from fedlearn_helpers.algorithms.local import LocalTraining, Recipe
from fedlearn_helpers.algorithms.own_parts import ADAPTATION_EPOCHS
from fedlearn_helpers.algorithms.personal_registry import (
    Personalization,
    complete_personal_settings,
    find_personalization,
)
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments.checkpoint import Checkpoint, Continued
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.simulation import History, keep_result, simulate
from fedlearn_helpers.simulation.grid import OnError
from fedlearn_helpers.simulation.workers import Workers
from fedlearn_helpers.training import evaluate


@dataclass(frozen=True)
class Measured:
    """How clients do, each with its own model after adaptation; accuracies in [0, 1], nan for a client that failed.

    Attributes:
        own: (clients,) on the client's own validation images, which have its mixture of classes.
        elsewhere: (clients, members) on the validation images of every client that trained.
        test: (clients,) on the test images, which have all classes.
    """

    own: np.ndarray
    elsewhere: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class PersonalOutcome:
    """What a federation with a personalization method gave.

    Attributes:
        members: of the clients that trained.
        newcomers: of clients that did not, and get the final model.
        model: what the server holds in the end; without the parts that clients keep, and with one model per cluster
            for IFCA.
        history: all messages, the last question to every client included.
    """

    members: Measured
    newcomers: Measured
    model: ArrayRecord
    history: History


def personalize(
    method: str,
    dataset: ImageDataset,
    shards: Sequence[Shard],
    *,
    newcomers: Sequence[Shard] = (),
    num_rounds: int,
    recipe: Recipe = Recipe(),  # noqa: B008 - frozen
    settings: Mapping[str, float] | None = None,
    adaptation_epochs: int = 1,
    fraction_train: float = 1.0,
    seed: int,
    workers: Workers = "auto",
    model: nn.Module | None = None,
    mods: Sequence[Mod] = (),
    on_error: OnError = "raise",
    checkpoint: Path | str | None = None,
    label: str | None = "Round",
) -> PersonalOutcome:
    """Run a federation with a personalization method, and measure every client with the model that it would use.

    Args:
        method: a key of `PERSONALIZATIONS`.
        dataset: all images, on the device to compute on.
        shards: one per client that trains.
        newcomers: one per client that never trains; each gets the final model and adapts it as the method does.
        num_rounds: >= 1.
        recipe: how clients train.
        settings: the method's own; defaults for those that are missing.
        adaptation_epochs: passes over its training images in which a client may adapt what it received before it is
            measured, where the method adapts; >= 1.
        fraction_train: share of the clients that train in a round, in (0, 1].
        seed: decides the first model, the order of images, and who takes part.
        workers, on_error, label: as in `simulate`.
        model: has the first weights; None means the workbook's CNN, made from the seed.
        mods: Flower's client mods, around the clients' training alone.
        checkpoint: a file in which every finished round is kept: the server's model and all clients' states. If it
            exists, the run goes on after its last round, and gives the same as one that was never stopped. None keeps
            nothing.

    Raises:
        InputError: an unknown method or setting, an argument out of range, a model or recipe that the method cannot
            use, or a checkpoint of another run.
    """
    if num_rounds < 1:
        raise InputError(f"num_rounds must be >= 1, got {num_rounds}")
    if adaptation_epochs < 1:
        raise InputError(f"adaptation_epochs must be >= 1, got {adaptation_epochs}")
    if not 0 < fraction_train <= 1:
        raise InputError(f"fraction_train must be > 0 and <= 1, got {fraction_train}")
    way, complete = find_personalization(method), complete_personal_settings(method, settings)
    if model is None:
        model = new_cnn(dataset.image_shape, dataset.num_classes, seed).to(dataset.train_images.device)
    way.check(recipe, model)
    config = {**complete, ADAPTATION_EPOCHS: float(adaptation_epochs)}
    facts = {
        "method": method,
        "settings": complete,
        "recipe": repr(recipe),
        "fraction_train": fraction_train,
        "seed": seed,
        "dataset": dataset.name,
        "clients": [len(shard.train) for shard in shards],
    }
    saved = Checkpoint(checkpoint, facts)
    if saved.finished > num_rounds:
        raise InputError(f"num_rounds must be >= {saved.finished}, the rounds in {checkpoint}, got {num_rounds}")
    first = ArrayRecord(way.first(model, complete, seed))
    initial = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def app_for(own_shards: Sequence[Shard], own_mods: Sequence[Mod] = ()) -> ClientApp:
        return make_client_app(
            way, dataset, own_shards, model, initial, members=shards, recipe=recipe, seed=seed, mods=own_mods
        )

    answers: list[Message] = []
    server_app = ServerApp()

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        strategy = way.new_strategy(
            fraction_train=fraction_train, fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1
        )
        saved.restore_sampling()

        def after_round(server_round: int, arrays: ArrayRecord) -> None:
            if server_round > 0:
                saved.keep(saved.finished + server_round, arrays)

        result = Continued(strategy, saved.finished).start(
            grid,
            saved.arrays or first,
            num_rounds=num_rounds - saved.finished,
            train_config=ConfigRecord(dict(config)),
            evaluate_fn=after_round,
        )
        keep_result(result, context)
        answers.extend(_ask_everyone(grid, result.arrays or saved.arrays or first, config, num_rounds))

    history = simulate(
        server_app,
        app_for(shards, mods),
        num_clients=len(shards),
        seed=seed,
        run_config={"num-server-rounds": num_rounds},
        workers=workers,
        on_error=on_error,
        states=saved.states,
        label=label,
    )
    final = history.arrays or saved.arrays or first
    met: list[Message] = []
    if newcomers:
        meeting = ServerApp()

        @meeting.main()
        def meet(grid: Grid, context: Context) -> None:
            met.extend(_ask_everyone(grid, final, config, num_rounds))

        simulate(
            meeting,
            app_for(newcomers),
            num_clients=len(newcomers),
            seed=seed,
            workers=workers,
            on_error=on_error,
            label=None,
        )
    model.load_state_dict(initial)
    return PersonalOutcome(_measured(answers, len(shards)), _measured(met, len(shards)), final, history)


def make_client_app(
    method: Personalization,
    dataset: ImageDataset,
    shards: Sequence[Shard],
    model: nn.Module,
    initial: Mapping[str, Tensor],
    *,
    members: Sequence[Shard],
    recipe: Recipe,
    seed: int,
    mods: Sequence[Mod] = (),
) -> ClientApp:
    """Return the ClientApp of a method; it runs on any Flower grid.

    Args:
        method: a value of `PERSONALIZATIONS`.
        dataset: all images, on the device to compute on.
        shards: one per client.
        model: one model for all clients; each message overwrites its weights.
        initial: the first model's weights, for what the server does not send.
        members: on whose validation images every client is measured, besides its own.
        recipe: how clients train.
        seed: of the run.
        mods: Flower's client mods, around the clients' training alone.
    """
    client_app = ClientApp()
    everybody = np.concatenate([shard.validation for shard in members])
    bounds = np.cumsum([len(shard.validation) for shard in members])[:-1]

    def received(message: Message, context: Context, purpose: str) -> LocalTraining:
        shard = shards[context.node_config["partition-id"]]
        return LocalTraining(message, context, dataset, shard, model, recipe, seed, first=initial, purpose=purpose)

    @client_app.train(mods=list(mods))
    def train_client(message: Message, context: Context) -> Message:
        return Message(method.train_client(received(message, context, "train")), reply_to=message)

    @client_app.evaluate()
    def evaluate_client(message: Message, context: Context) -> Message:
        local = received(message, context, "adapt")
        method.adapt(local)
        images, labels = dataset.train_images, dataset.train_labels
        own = evaluate(model, images, labels, local.shard.validation)
        right = evaluate(model, images, labels, everybody).predictions == labels[torch.as_tensor(everybody)].cpu()
        metrics = {
            "loss": own.loss,
            "accuracy": own.accuracy,
            "test-accuracy": evaluate(model, dataset.test_images, dataset.test_labels).accuracy,
            "accuracy-elsewhere": [float(part.mean()) for part in np.split(right.numpy(), bounds)],
            "num-examples": own.num_examples,
        }
        return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)

    return client_app


def _ask_everyone(grid: Grid, arrays: ArrayRecord, config: Mapping[str, float], server_round: int) -> list[Message]:
    """Let every client measure the model that it makes of these arrays."""
    content = RecordDict({"arrays": arrays, "config": ConfigRecord({**config, "server-round": server_round})})
    messages = [grid.create_message(content, "evaluate", node, group_id="") for node in grid.get_node_ids()]
    return list(grid.send_and_receive(messages))


def _measured(answers: Sequence[Message], members: int) -> Measured:
    failed = {"accuracy": math.nan, "test-accuracy": math.nan, "accuracy-elsewhere": [math.nan] * members}
    reports = [failed if answer.has_error() else answer.content["metrics"] for answer in answers]
    return Measured(
        own=np.array([report["accuracy"] for report in reports]),
        elsewhere=np.array([report["accuracy-elsewhere"] for report in reports]).reshape(len(reports), members),
        test=np.array([report["test-accuracy"] for report in reports]),
    )

"""`federate`: one federation with any algorithm, on any data, and every client measured with the model that it uses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import Mod
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import Strategy
from torch import nn

from fedlearn_helpers.algorithms.aggregation import Aggregator
from fedlearn_helpers.algorithms.algorithm import Adapt, Algorithm, whole_model
from fedlearn_helpers.algorithms.local import LocalConfig, LocalTraining
from fedlearn_helpers.algorithms.own_parts import ADAPTATION_EPOCHS
from fedlearn_helpers.algorithms.registry import find_algorithm, new_strategy
from fedlearn_helpers.algorithms.transport import Transport
from fedlearn_helpers.data import Dataset
from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.experiments.checkpoint import Checkpoint, Continued
from fedlearn_helpers.experiments.client_app import new_client_app
from fedlearn_helpers.experiments.measures import ClientMeasures, accuracy_of_each, of_one_model, of_replies
from fedlearn_helpers.experiments.reference_lines import own_copy
from fedlearn_helpers.experiments.run_key import code_key, data_key, model_key
from fedlearn_helpers.experiments.value_key import function_key, value_key
from fedlearn_helpers.models import copy_of_weights
from fedlearn_helpers.partition.split import Shard
from fedlearn_helpers.seeds import check_seed
from fedlearn_helpers.simulation import History, keep_result, simulate
from fedlearn_helpers.simulation.grid import OnError
from fedlearn_helpers.simulation.output import quiet_flower
from fedlearn_helpers.simulation.replies import NEEDED_METRICS, NEEDED_RECORDS, NUM_EXAMPLES
from fedlearn_helpers.simulation.workers import Workers
from fedlearn_helpers.training import evaluate


@dataclass(frozen=True)
class FederationResult:
    """What a federation reached; accuracies in [0, 1].

    Attributes:
        test_accuracy: of the server's model on the test examples, before the first round and after every round; empty
            where every client has a model of its own.
        members: the clients that trained, each with the model that it uses.
        unseen: clients that did not train, and get the final model.
        model: what the server holds in the end; without the parts that clients keep, and with one model per cluster
            for IFCA.
        history: all messages; where clients have models of their own, the last question to every member included.
    """

    test_accuracy: tuple[float, ...]
    members: ClientMeasures
    unseen: ClientMeasures
    model: ArrayRecord
    history: History


def federate(
    algorithm: str | Algorithm | Callable[[], Strategy],
    dataset: Dataset,
    shards: Sequence[Shard],
    *,
    num_rounds: int,
    local_config: LocalConfig = LocalConfig(),  # noqa: B008 - frozen
    settings: Mapping[str, float] | None = None,
    aggregator: Aggregator | None = None,
    mods: Sequence[Mod] = (),
    transport: Transport | None = None,
    adapt: Adapt | None = None,
    adaptation_epochs: int = 1,
    unseen: Sequence[Shard] = (),
    fraction_train: float = 1.0,
    seed: int,
    workers: Workers = "auto",
    model: nn.Module | None = None,
    on_error: OnError = "raise",
    checkpoint: Path | str | None = None,
    label: str | None = "Round",
) -> FederationResult:
    """Run a federation, and measure every client with the model that it uses.

    Args:
        algorithm: one, or a key of `ALGORITHMS`; or what returns a new Flower strategy, whose clients then train as
            FedAvg's do.
        dataset: all examples, on the device to compute on.
        shards: one per client that trains.
        num_rounds: >= 1.
        local_config: how clients train.
        settings: the algorithm's own; defaults for those that are missing.
        aggregator: how the server combines the clients' models; None as the algorithm does it, for most by
            `weighted_mean`.
        mods: Flower's client mods, around the clients' training alone.
        transport: how the messages of training travel, such as `Compression(up=…, down=…)`; None sends arrays as they
            are.
        adapt: what a client does before it uses the model, such as `fine_tuning.adapt`; None as the algorithm does it.
            Where the server holds a part of the model, or several, the client first does what the algorithm does.
        adaptation_epochs: passes over its training examples in which a client may adapt what it received before it is
            measured, where it adapts; >= 1.
        unseen: one shard per client that never trains; each gets the final model.
        fraction_train: share of the clients that train in a round, in (0, 1].
        seed: decides the first model, the order of examples, and who takes part.
        workers, on_error, label: as in `simulate`.
        model: has the first weights, and stays as it is; None means the workbook's CNN for images, made from the seed.
        checkpoint: a file in which every finished round is kept. If it exists, the run goes on after its last round,
            and gives the same as one that was never stopped. None keeps nothing.

    Raises:
        InputError: an unknown algorithm or setting, an argument out of range, a model or configuration that the
            algorithm cannot use, or a checkpoint of another run.
    """
    seed = check_seed(seed)
    for name, value in (("num_rounds", num_rounds), ("adaptation_epochs", adaptation_epochs)):
        check_number(name, value, ">= 1", lambda number: number >= 1)
        check_whole_number(name, value, 1)
    check_number("fraction_train", fraction_train, "> 0 and <= 1", lambda share: 0 < share <= 1)
    if not isinstance(transport, Transport | None):
        raise InputError(f"transport must be one, such as Compression(up=…, down=…), or None, got {transport!r}")
    chosen = _find(algorithm)
    complete = chosen.complete_settings(settings)
    adapt = _adaptation(chosen, adapt)
    model = own_copy(model, dataset, seed)
    chosen.check(local_config, model)
    options = {"fraction_train": fraction_train, "fraction_evaluate": 0.0, "min_train_nodes": 1}
    needed: dict[str, list[str]] = {}  # the package's own servers say it themselves
    strategy: Strategy
    with quiet_flower():
        if callable(algorithm):
            if aggregator is not None:
                raise InputError("aggregator must be None with a strategy of your own, which has its own")
            if fraction_train != 1:
                raise InputError(
                    f"fraction_train must be 1 with a strategy of your own, which has its own, got {fraction_train}"
                )
            strategy = algorithm()
            needed = {NEEDED_METRICS: [NUM_EXAMPLES], NEEDED_RECORDS: ["arrays"]}  # what FedAvg's clients send
        else:
            strategy = new_strategy(
                chosen, local_config, complete, aggregator=aggregator, min_available_nodes=1, **options
            )
    saved = Checkpoint(
        checkpoint,
        {
            "algorithm": chosen.name,
            "server": type(strategy).__name__,
            "settings": complete,
            "aggregator": function_key(aggregator),
            "mods": [function_key(mod) for mod in mods],
            "transport": value_key(transport),
            "adapt": function_key(adapt),
            "adaptation_epochs": adaptation_epochs,
            "local_config": asdict(local_config),
            "fraction_train": fraction_train,
            "seed": seed,
            "dataset": dataset.name,
            "clients": [len(shard.train) for shard in shards],
        }
        | ({} if checkpoint is None else _content_key(chosen, strategy, local_config, model, dataset, shards)),
    )
    if saved.finished > num_rounds:
        raise InputError(f"num_rounds must be >= {saved.finished}, the rounds in {checkpoint}, got {num_rounds}")
    first = ArrayRecord(dict(chosen.first(model, complete, seed)))
    if transport is not None:
        strategy, mods = transport.around_server(strategy, first, seed), (transport.around_client(first, seed), *mods)
    initial = copy_of_weights(model)
    config = {**complete, ADAPTATION_EPOCHS: float(adaptation_epochs)}

    def app_of(clients: Sequence[Shard], around: Sequence[Mod] = ()) -> ClientApp:
        return new_client_app(
            chosen,
            dataset,
            clients,
            model,
            local_config=local_config,
            seed=seed,
            initial=initial,
            members=shards,
            adapt=adapt,
            mods=around,
        )

    replies: list[Message] = []
    server_app = ServerApp()

    def after_round(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        server_round += saved.finished
        measured = None
        if adapt is None:
            if server_round not in saved.measured:
                model.load_state_dict(arrays.to_torch_state_dict())
                result = evaluate(model, dataset.test_inputs, dataset.test_targets, task=dataset.task)
                saved.measured[server_round] = {"loss": result.loss, "accuracy": result.accuracy}
            measured = MetricRecord(dict(saved.measured[server_round]))
        if server_round > saved.finished:
            saved.keep(server_round, arrays, strategy)
        return measured

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        saved.restore(strategy)
        result = Continued(strategy, saved.finished).start(
            grid,
            saved.arrays or first,
            num_rounds=num_rounds - saved.finished,
            train_config=ConfigRecord({**config, **needed}),
            evaluate_fn=after_round,
        )
        keep_result(result, context)
        if adapt is not None:
            replies.extend(_ask_all(grid, result.arrays or saved.arrays or first, config, num_rounds))

    history = simulate(
        server_app,
        app_of(shards, mods),
        num_clients=len(shards),
        seed=seed,
        run_config={"num-server-rounds": num_rounds},
        workers=workers,
        on_error=on_error,
        states=saved.states,
        label=label,
    )
    history = _numbered_from(saved.finished, history)
    final = history.arrays or saved.arrays or first  # no client ever answered: the model stays as it was
    test_accuracy = tuple(saved.measured[number]["accuracy"] for number in sorted(saved.measured))
    if adapt is None:
        model.load_state_dict(final.to_torch_state_dict())
        own = accuracy_of_each(model, dataset, shards)
        own_of_unseen = accuracy_of_each(model, dataset, unseen)
        members = of_one_model(own, own, test_accuracy[-1])
        strangers = of_one_model(own_of_unseen, own, test_accuracy[-1])
    else:
        members = of_replies(replies, len(shards))
        asked: list[Message] = []
        if unseen:
            visit = ServerApp()

            @visit.main()
            def ask(grid: Grid, context: Context) -> None:
                asked.extend(_ask_all(grid, final, config, num_rounds))

            simulate(
                visit,
                app_of(unseen),
                num_clients=len(unseen),
                seed=seed,
                workers=workers,
                on_error=on_error,
                label=None,
            )
        strangers = of_replies(asked, len(shards))
    return FederationResult(test_accuracy, members, strangers, final, history)


def _find(algorithm: str | Algorithm | Callable[[], Strategy]) -> Algorithm:
    """Return the algorithm whose client half is used."""
    if isinstance(algorithm, Algorithm):
        return algorithm
    return find_algorithm("fedavg" if callable(algorithm) else algorithm)


def _adaptation(algorithm: Algorithm, given: Adapt | None) -> Adapt | None:
    """Return what a client does before it uses the model.

    Where the server does not hold the whole model, the client first does what the algorithm does: it completes the
    model, or chooses one.
    """
    if given is None or algorithm.adapt is None or algorithm.first is whole_model:
        return given or algorithm.adapt
    complete = algorithm.adapt

    def complete_then_adapt(local: LocalTraining) -> None:
        complete(local)
        given(local)

    return complete_then_adapt


def _content_key(
    algorithm: Algorithm,
    strategy: Strategy,
    local_config: LocalConfig,
    model: nn.Module,
    dataset: Dataset,
    shards: Sequence[Shard],
) -> dict[str, Any]:
    """Return hashes of code, weights and data, which take a moment: only where there is a file to compare them with."""
    attributes = {f"attribute {name} of the server": value_key(value) for name, value in sorted(vars(strategy).items())}
    return {
        "train_client": function_key(algorithm.train_client),
        "first": function_key(algorithm.first),
        "code of the server": function_key(type(strategy)),
        "code of local_config": function_key(type(local_config)),
        **attributes,
        "model": model_key(model),
        "data": data_key(dataset, shards),
        **code_key(),
    }


def _numbered_from(finished: int, history: History) -> History:
    """Number the rounds in which the server measured and averaged as the clients' messages are numbered."""
    if finished == 0:
        return history
    aggregated = {
        phase: {finished + number: metrics for number, metrics in by_round.items()}
        for phase, by_round in history.aggregated.items()
    }
    return replace(history, aggregated=aggregated)


def _ask_all(grid: Grid, arrays: ArrayRecord, config: Mapping[str, float], server_round: int) -> list[Message]:
    """Let every client measure the model that it makes of these arrays."""
    content = RecordDict({"arrays": arrays, "config": ConfigRecord({**config, "server-round": server_round})})
    messages = [grid.create_message(content, "evaluate", node, group_id="") for node in grid.get_node_ids()]
    return list(grid.send_and_receive(messages))

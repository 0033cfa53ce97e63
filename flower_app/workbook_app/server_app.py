"""The ServerApp: finds the clients, runs the algorithm's server, and writes down what happened."""

import logging
from contextlib import suppress

from flwr.app import ArrayRecord, ConfigRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import Result

from fedlearn_helpers.algorithms.own_parts import ADAPTATION_EPOCHS
from fedlearn_helpers.algorithms.registry import new_strategy
from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.experiments.checkpoint import Checkpoint, Continued
from fedlearn_helpers.experiments.run_key import code_key, dataset_key
from fedlearn_helpers.simulation import keep_result
from fedlearn_helpers.training import evaluate
from workbook_app.clients import check_states, find_clients
from workbook_app.results import ResultsFile, check_model_path, write_model
from workbook_app.secure import SecurelyReproducible, check_can_be_secure, secure_aggregation
from workbook_app.settings import RunConfig, read_run_config
from workbook_app.strategy import Reproducible, entry_of, last_trained
from workbook_app.task import load_images, new_model
from workbook_app.versions import other_torch

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the federation that the run-config describes.

    With `results-path`, a JSON file there says how far it came, from the start on: `status` ("running", "completed" or
    "failed"), `error` (one line, or null), `warnings`, `run-config`, and `rounds`, a list: the number of the `round` (0
    is the initial model), how many `clients` were asked and how many `failures` there were by phase, the `errors` of
    clients, which clients `trained`, and metrics: "train" and "evaluate" as averaged over clients, and "server" on the
    test images, where all clients use the server's model. A metric that is not a finite number is null.

    With `secure-aggregation`, the server gets masked numbers and their sum, and `received` in a round is what they look
    like.

    With `checkpoint-path`, every finished round is kept there, and a run that finds the file goes on after it.

    Raises:
        InputError: a value that cannot work, before anything is trained; or a disk that is full.
    """
    config = read_run_config(context.run_config)
    results = ResultsFile(config)
    results.write("running")
    try:
        result = _run(grid, config, results)
    except Exception as error:
        with suppress(InputError):  # the disk may be full: what ended the run is said
            results.write("failed", one_line(error))
        raise
    results.write("completed")
    keep_result(result, context)  # for `simulate`


def _run(grid: Grid, config: RunConfig, results: ResultsFile) -> Result:
    algorithm, settings, local_config = config.the_algorithm, config.all_settings(), config.local_config()
    check_model_path(config.model_path)
    images = load_images(config.dataset)  # before the clients: forked ones share it
    model = new_model(config)
    algorithm.check(local_config, model)
    least = {"min_train_nodes": 1, "min_evaluate_nodes": 1, "min_available_nodes": 1}
    strategy = new_strategy(algorithm, local_config, settings, **least)
    if config.secure_aggregation:
        check_can_be_secure(config, strategy)
    clients = find_clients(grid)
    if config.min_clients > len(clients):
        raise InputError(f"min-clients must be <= num-supernodes ({len(clients)}), got {config.min_clients}")
    for client in clients.values():
        if warning := other_torch(client.partition, client.versions):
            logging.getLogger("flwr").warning(warning)
            results.warnings.append(warning)

    key = config.run_key(len(clients))
    if config.checkpoint_path:
        key |= {"data": dataset_key(images), **code_key()}
    saved = Checkpoint(config.checkpoint_path or None, key, argument="checkpoint-path")
    results.rounds = rounds = saved.measured
    if saved.finished > config.num_server_rounds:
        raise InputError(
            f"num-server-rounds must be >= {saved.finished}, the rounds in {config.checkpoint_path}, "
            f"got {config.num_server_rounds}"
        )
    if config.client_states_path and algorithm.keeps_state:
        check_states(clients, last_trained(rounds), saved.finished)

    def after_round(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        server_round += saved.finished
        entry = entry_of(rounds, server_round)
        if not algorithm.is_personal and "server" not in entry:
            model.load_state_dict(arrays.to_torch_state_dict())
            result = evaluate(model, images.test_images, images.test_labels)
            entry["server"] = {"loss": result.loss, "accuracy": result.accuracy}
        if server_round > saved.finished:
            saved.keep(server_round, arrays, strategy)
        results.write("running")
        return MetricRecord(entry["server"]) if "server" in entry else None

    saved.restore(strategy)
    first = saved.arrays or ArrayRecord(dict(algorithm.first(model, settings, config.seed)))
    kind, inside, fewest = Reproducible, strategy, config.min_clients
    if config.secure_aggregation:
        transport = secure_aggregation(config, len(clients))
        kind, inside = SecurelyReproducible, transport.around_server(strategy, first, config.seed)
        fewest = max(fewest, transport.threshold)
    around = kind(
        inside,
        {node_id: client.partition for node_id, client in clients.items()},
        seed=config.seed,
        fraction_train=config.fraction_train,
        fraction_evaluate=config.fraction_evaluate,
        min_clients=fewest,
        with_states=algorithm.keeps_state,
        rounds=rounds,
    )
    message_config = {**settings, ADAPTATION_EPOCHS: 1.0}
    result = Continued(around, saved.finished).start(
        grid,
        first,
        num_rounds=config.num_server_rounds - saved.finished,
        train_config=ConfigRecord(dict(message_config)),
        evaluate_config=ConfigRecord(dict(message_config)),
        evaluate_fn=after_round,
    )
    if config.model_path:
        write_model(config.model_path, result.arrays or first)
    return Result(
        arrays=result.arrays or saved.arrays or ArrayRecord(),
        train_metrics_clientapp=_metrics(results, "train"),
        evaluate_metrics_clientapp=_metrics(results, "evaluate"),
        evaluate_metrics_serverapp=_metrics(results, "server"),
    )


def _metrics(results: ResultsFile, phase: str) -> dict[int, MetricRecord]:
    """Return what was measured by round, in rounds before a stop, too."""
    return {number: MetricRecord(entry[phase]) for number, entry in results.rounds.items() if entry.get(phase)}

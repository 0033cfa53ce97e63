"""The ServerApp: finds the clients, runs the strategy, and writes down what happened."""

from pathlib import Path

from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp

from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.files import without_nan, write_json
from fedlearn_helpers.simulation import keep_result
from fedlearn_helpers.training import evaluate
from workbook_app.clients import find_clients
from workbook_app.settings import RunConfig, read_run_config
from workbook_app.strategy import STRATEGIES, ReproducibleFedAvg
from workbook_app.task import load_images, new_model

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the federation that the run-config describes.

    With `results-path`, a JSON file there says how far it came, from the start on:
    `status` ("running", "completed" or "failed"), `error` (one line, or null), `run-config`, and
    `rounds`, a list: the number of the `round` (0 is the initial model), how many `clients` were asked and
    how many `failures` there were by phase, and metrics: "train" and "evaluate" as averaged over
    clients, "server" on the test images. A metric that is not a finite number is null.

    Raises:
        InputError: a value that cannot work, before anything is trained.
    """
    config = read_run_config(context.run_config)
    _write(config, "running")
    strategy = None
    try:
        images = load_images(config.dataset)  # before the clients: forked ones share it
        model = new_model(config)
        partitions = find_clients(grid)
        if config.min_clients > len(partitions):
            raise InputError(f"min-clients must be <= num-supernodes ({len(partitions)}), got {config.min_clients}")
        strategy = STRATEGIES[config.strategy](
            partitions, seed=config.seed, fraction_train=config.fraction_train, min_clients=config.min_clients
        )

        def evaluate_on_server(server_round: int, arrays: ArrayRecord) -> MetricRecord:
            model.load_state_dict(arrays.to_torch_state_dict())
            result = evaluate(model, images.test_images, images.test_labels)
            strategy.rounds[server_round]["server"] = {"loss": result.loss, "accuracy": result.accuracy}
            return MetricRecord(strategy.rounds[server_round]["server"])

        result = strategy.start(
            grid=grid,
            initial_arrays=ArrayRecord(model.state_dict()),
            num_rounds=config.num_server_rounds,
            evaluate_fn=evaluate_on_server,
        )
    except Exception as error:
        _write(config, "failed", strategy, one_line(error))
        raise
    _write(config, "completed", strategy)
    keep_result(result, context)  # for `simulate`


def _write(
    config: RunConfig, status: str, strategy: ReproducibleFedAvg | None = None, error: str | None = None
) -> None:
    if not config.results_path:
        return
    rounds = strategy.rounds if strategy else {}
    content = {
        "status": status,
        "error": error,
        "run-config": {name.replace("_", "-"): value for name, value in config.model_dump().items()},
        "rounds": [{"round": number, **entry} for number, entry in sorted(rounds.items())],
    }
    try:
        write_json(Path(config.results_path), without_nan(content))
    except OSError as problem:
        raise InputError(
            f"results-path must be a file that can be written, got {config.results_path!r}: {one_line(problem)}"
        ) from None

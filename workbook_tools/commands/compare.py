"""`fedlearn compare`: strategies x partitions x seeds from a terminal."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fedlearn_helpers.errors import InputError
from workbook_tools.commands.arguments import errors_in_one_line, side_by_side, split_pair, whole_numbers

_FIGURE, _TABLE, _RUNS = "comparison.png", "comparison.csv", "runs"


def compare(
    strategies: Annotated[
        str,
        typer.Option(
            help="Names with commas between them: fedavg, fedprox, qfedavg, fedavgm, fedadam, fedyogi, fedadagrad, "
            "scaffold, fednova, feddyn."
        ),
    ] = "fedavg,fedprox,scaffold",
    partitions: Annotated[
        str,
        typer.Option(help="With commas between them: iid, dirichlet:ALPHA, pathological:CLASSES, quantity:ALPHA."),
    ] = "iid,dirichlet:0.1,pathological:2",
    seeds: Annotated[str, typer.Option(help="Numbers with commas between them.")] = "0,1,2",
    dataset: Annotated[str, typer.Option(help="As in the notebooks.")] = "fashion",
    clients: Annotated[int, typer.Option(help="How many clients there are.")] = 10,
    rounds: Annotated[int, typer.Option(help="Rounds of every federation.")] = 10,
    local_epochs: Annotated[int, typer.Option(help="Passes of a client over its images in a round.")] = 1,
    batch_size: Annotated[int, typer.Option(help="Images a training step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Of the clients' SGD.")] = 0.05,
    momentum: Annotated[float, typer.Option(help="Of the clients' SGD.")] = 0.0,
    weight_decay: Annotated[float, typer.Option(help="Of the clients' SGD.")] = 0.0,
    model: Annotated[str, typer.Option(help='"cnn", or "mlp", which learns less and is five times as quick.')] = "cnn",
    fraction_train: Annotated[float, typer.Option(help="Share of the clients that train in a round.")] = 1.0,
    max_images: Annotated[
        int | None, typer.Option(help="Use so many training images, chosen at random.", show_default="all")
    ] = None,
    validation_fraction: Annotated[float, typer.Option(help="Share of its images that a client keeps back.")] = 0.2,
    references: Annotated[bool, typer.Option(help="Also train local-only and centralized models.")] = True,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "-s",
            "--setting",
            help="strategy.name=value, as often as needed: fedprox.mu, qfedavg.q, qfedavg.steps, "
            "fedavgm.server_momentum, fedavgm.server_learning_rate, eta and tau of fedadam, fedyogi and fedadagrad, "
            "scaffold.server_learning_rate, feddyn.alpha.",
        ),
    ] = None,
    workers: Annotated[str, typer.Option(help='Runs side by side: "auto" or a number.')] = "auto",
    output: Annotated[
        Path, typer.Option(help="Folder for the runs, the table and the figure. Finished runs in it are not repeated.")
    ] = Path("build/compare"),
) -> None:
    """Run strategies on partitions with several seeds, beside local-only and centralized training.

    Example: fedlearn compare --strategies fedavg,scaffold --partitions iid,pathological:2 --seeds 0,1,2
    """
    from fedlearn_helpers.algorithms import Recipe
    from fedlearn_helpers.data import load_dataset
    from fedlearn_helpers.experiments.compare import Comparison
    from fedlearn_helpers.experiments.compare import compare as run_comparison
    from fedlearn_helpers.lessons.common.parameters import split_names

    with errors_in_one_line():
        comparison = Comparison(
            strategies=split_names(strategies),
            partitions=split_names(partitions),
            seeds=whole_numbers("seeds", seeds),
            num_clients=clients,
            num_rounds=rounds,
            fraction_train=fraction_train,
            recipe=Recipe(local_epochs, batch_size, learning_rate, momentum, weight_decay),
            model=model,
            settings=_settings(setting or []),
            max_images=max_images,
            validation_fraction=validation_fraction,
            with_references=references,
        )
        count = workers if workers == "auto" else side_by_side(workers)
        table = run_comparison(comparison, load_dataset(dataset), folder=output / _RUNS, workers=count)
        _write(table, output)


def _write(table: Any, output: Path) -> None:
    from fedlearn_helpers import plots
    from fedlearn_helpers.experiments.compare import summarize
    from fedlearn_helpers.files import write_whole

    write_whole(output / _TABLE, table.to_csv(index=False))
    plots.strategies(table).savefig(output / _FIGURE, dpi=150)
    print(summarize(table).to_string(float_format="{:.3f}".format))
    print(f"Written to {output / _TABLE} and {output / _FIGURE}.")


def _settings(pairs: list[str]) -> dict[str, dict[str, float]]:
    settings: dict[str, dict[str, float]] = {}
    for name, value in map(split_pair, pairs):
        strategy, dot, setting = name.partition(".")
        try:
            number = float(value)
        except ValueError:
            dot = ""
        if not dot:
            raise InputError(f"a setting must look like strategy.name=value, got '{name}={value}'")
        if setting in settings.setdefault(strategy, {}):
            raise InputError(f"a setting must be given once, got {name!r} twice")
        settings[strategy][setting] = number
    return settings

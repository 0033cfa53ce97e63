"""`fedlearn compare`: strategies x partitions x seeds from a terminal."""

from pathlib import Path
from typing import Annotated, Any

import click
import typer
from typer.core import TyperCommand

from fedlearn_helpers.errors import InputError, check_one_of
from workbook_tools.commands.arguments import (
    check_output,
    errors_in_one_line,
    runs_in_parallel,
    split_pair,
    whole_numbers,
)

_FIGURE, _TABLE, _RUNS = "comparison.png", "comparison.csv", "runs"


def compare(
    strategies: Annotated[
        str,
        typer.Option(help="Names with commas between them: {algorithms}."),
    ] = "fedavg,fedprox,scaffold",
    partitions: Annotated[
        str,
        typer.Option(help="With commas between them: {scenarios}."),
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
            help="strategy.name=value, as often as needed: {settings}.",
        ),
    ] = None,
    workers: Annotated[str, typer.Option(help='Runs in parallel: "auto" or a number.')] = "auto",
    output: Annotated[
        Path, typer.Option(help="Folder for the runs, the table and the figure. Finished runs in it are not repeated.")
    ] = Path("build/compare"),
) -> None:
    """Run strategies on partitions with several seeds, beside local-only and centralized training.

    Example: fedlearn compare --strategies fedavg,scaffold --partitions iid,pathological:2 --seeds 0,1,2
    """
    from fedlearn_helpers.algorithms import ALGORITHMS, LocalConfig
    from fedlearn_helpers.data import load_dataset
    from fedlearn_helpers.experiments import Comparison
    from fedlearn_helpers.experiments import compare as run_comparison
    from fedlearn_helpers.lessons.common.parameters import split_names
    from fedlearn_helpers.simulation.workers import Workers

    with errors_in_one_line():
        for option, names in (("strategies", split_names(strategies)), ("partitions", split_names(partitions))):
            if not names:
                raise InputError(f"{option} must name at least one, got none")
        for name in split_names(strategies):
            check_one_of("strategy", name, ALGORITHMS)
        comparison = Comparison(
            algorithms=split_names(strategies),
            scenarios=split_names(partitions),
            seeds=whole_numbers("seeds", seeds),
            num_clients=clients,
            num_rounds=rounds,
            fraction_train=fraction_train,
            local_config=LocalConfig(local_epochs, batch_size, learning_rate, momentum, weight_decay),
            model=model,
            settings=_settings(setting or []),
            max_images=max_images,
            validation_fraction=validation_fraction,
            with_references=references,
        )
        check_output(output)
        count: Workers = "auto" if workers == "auto" else runs_in_parallel(workers)
        tables = run_comparison(comparison, load_dataset(dataset), folder=output / _RUNS, workers=count)
        _write(tables.runs, output)


def _known() -> dict[str, str]:
    """Return what the registries have, for help texts; nothing where PyTorch or Flower is missing."""
    try:
        from fedlearn_helpers.algorithms import ALGORITHMS
        from fedlearn_helpers.experiments.scenarios import SCENARIOS
    except ImportError as error:
        return dict.fromkeys(("algorithms", "scenarios", "settings"), f"they cannot be listed here ({error})")
    settings = [f"{name}.{setting}" for name, algorithm in ALGORITHMS.items() for setting in algorithm.settings]
    return {"algorithms": ", ".join(ALGORITHMS), "scenarios": SCENARIOS, "settings": ", ".join(settings)}


class CompareCommand(TyperCommand):
    """The command, whose help lists what the registries have; they are imported when somebody asks for it."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help."""
        known = _known()
        for option in self.params:
            if isinstance(option, click.Option) and option.help:
                option.help = option.help.format(**known)
        super().format_help(ctx, formatter)


def _write(runs: Any, output: Path) -> None:
    from fedlearn_helpers import plots
    from fedlearn_helpers.experiments import summarize_runs
    from fedlearn_helpers.files import write_whole

    names = {"algorithm": "strategy", "scenario": "partition"}  # as the options call them
    write_whole(output / _TABLE, runs.rename(columns=names).to_csv(index=False))
    plots.comparison(runs).savefig(output / _FIGURE, dpi=150)
    print(summarize_runs(runs).rename_axis(index=names).to_string(float_format="{:.3f}".format))
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

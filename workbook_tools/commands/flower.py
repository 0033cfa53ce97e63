"""`fedlearn flower`: the Flower app on Flower's own runtime."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.files import without_nan, write_json
from workbook_tools.commands.arguments import check_output, parse_parameters


def flower(
    clients: Annotated[int, typer.Option(help="How many clients there are.")] = 10,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", help="name=value, as in the run-config of the app's pyproject.toml."),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="host:port of a Ray cluster that this machine belongs to.", show_default="none")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the Flower app is.")] = Path("flower_app"),
    output: Annotated[Path, typer.Option(help="File for the results, in JSON.")] = Path("build/flower.json"),
    timeout: Annotated[float, typer.Option(help="Seconds after which the run is given up.")] = 3600,
) -> None:
    """Run the workbook's federation on Flower's own runtime, on this machine or on a Ray cluster.

    Unlike flwr run, it exits with 1 if the run or a client failed, and leaves no process behind.

    Example: fedlearn flower --clients 10 -p num-server-rounds=3 -p dataset=cifar10
    """
    from fedlearn_helpers.deployment import run_on_ray

    print(f"Running {folder} with {clients} clients; Flower and Ray take half a minute to start …", flush=True)
    try:
        check_output(output.parent)
        results = run_on_ray(
            folder,
            run_config=parse_parameters(parameter or []),
            num_supernodes=clients,
            ray_address=cluster,
            timeout=timeout,
        )
    except (InputError, RuntimeError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    write_json(output, without_nan(results))
    for entry in results["rounds"]:
        print(f"round {entry['round']}: {metrics_of(entry)}")
    print(f"Written to {output}.")


def metrics_of(entry: dict[str, Any]) -> str:
    """Return the metrics of one round on one line, such as "train loss 0.512, server accuracy 0.830"."""
    return ", ".join(
        f"{phase} {name} {value:.3f}"
        for phase in ("train", "evaluate", "server")
        for name, value in entry.get(phase, {}).items()
        if isinstance(value, float)
    )

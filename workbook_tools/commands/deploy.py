"""`fedlearn deploy`: the Flower app on a SuperLink and SuperNodes, here or on several machines."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.files import without_nan, write_json
from workbook_tools.commands.arguments import check_output, parse_parameters
from workbook_tools.commands.flower import metrics_of


def deploy(
    nodes: Annotated[int, typer.Option(help="How many SuperNodes there are, each with one part of the data.")] = 2,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", help="name=value, as in the run-config of the app's pyproject.toml."),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the Flower app is.")] = Path("flower_app"),
    output: Annotated[Path, typer.Option(help="File for the results, in JSON.")] = Path("build/deploy.json"),
    timeout: Annotated[float, typer.Option(help="Seconds after which the run is given up.")] = 3600,
    server: Annotated[
        str | None,
        typer.Option(help="For several machines: the server's name or address. Keys are made, and nothing is started."),
    ] = None,
    machines: Annotated[Path, typer.Option(help="With --server: new folder for what each machine gets.")] = Path(
        "build/machines"
    ),
) -> None:
    """Run the workbook's federation on Flower's SuperLink and SuperNodes, with TLS and a key for every node.

    On this machine it starts all, exits with 1 if the run or a client failed, and leaves no process behind. With
    --server it writes keys and certificates for several machines, and prints what to start where.

    Example: fedlearn deploy --nodes 2 -p num-server-rounds=3
    """
    try:
        if server is not None:
            _for_several_machines(machines, server, nodes)
        else:
            _here(nodes, parameter or [], folder, output, timeout)
    except (InputError, RuntimeError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def _here(nodes: int, parameters: list[str], folder: Path, output: Path, timeout: float) -> None:
    check_output(output.parent)
    run_config = parse_parameters(parameters)
    print(f"Running {folder} on {nodes} SuperNodes; every message starts a process of some seconds …", flush=True)
    from workbook_tools import flower

    results = flower.deploy_app(folder, run_config=run_config, num_nodes=nodes, timeout=timeout)
    write_json(output, without_nan(results))
    for entry in results["rounds"]:
        print(f"round {entry['round']}: {metrics_of(entry)}")
    print(f"Written to {output}.")


def _for_several_machines(machines: Path, server: str, nodes: int) -> None:
    check_output(machines.parent)
    from workbook_tools.flower.several_machines import write_machines

    print(write_machines(machines, server=server, num_nodes=nodes))
    print(f"Copy each folder in {machines} to its machine alone, with scp -pr. This also stands in README.txt there.")

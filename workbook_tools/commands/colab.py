"""`fedlearn colab`: notebooks that a learner uploads to Google Colab, one file each."""

from pathlib import Path
from typing import Annotated

import typer

from workbook_tools.commands.arguments import check_output, errors_in_one_line, refuse_same, say_what_is_left_out


def colab(
    notebooks: Annotated[list[str] | None, typer.Argument(help="Numbers, such as 00 02; all of them if none.")] = None,
    folder: Annotated[Path, typer.Option(help="Where the notebooks are.")] = Path("notebooks"),
    output: Annotated[Path, typer.Option(help="Where the editions go.")] = Path("build/colab"),
) -> None:
    """Write editions of the notebooks that need no other file: for Google Colab, or any notebook server.

    Their first cell installs what is missing and leaves alone what is there; the next ones bring the package.

    Example: fedlearn colab 00 02
    """
    with errors_in_one_line():
        from workbook_tools.editions.colab import write_edition
        from workbook_tools.execution.notebooks import choose

        paths = choose(folder, notebooks or [])
        check_output(output)
        refuse_same(output, folder)
        say_what_is_left_out(folder)
        for path in paths:
            edition = write_edition(path, output)
            print(f"{edition}: {edition.stat().st_size / 1000:,.0f} kB")

"""`fedlearn bare`: notebooks to lecture with."""

from pathlib import Path
from typing import Annotated

import typer

from workbook_tools.commands.arguments import check_output, errors_in_one_line, refuse_same, say_what_is_left_out


def bare(
    notebooks: Annotated[list[str] | None, typer.Argument(help="Numbers, such as 00 02; all of them if none.")] = None,
    folder: Annotated[Path, typer.Option(help="Where the notebooks are.")] = Path("notebooks"),
    output: Annotated[Path, typer.Option(help="Where the editions go.")] = Path("build/bare"),
) -> None:
    """Write editions of the notebooks to lecture with: headings, code, exercises and questions, no explanations.

    They run as the notebooks do, in this environment.

    Example: fedlearn bare 00 02
    """
    with errors_in_one_line():
        from workbook_tools.editions.bare import write_bare
        from workbook_tools.execution.notebooks import choose

        paths = choose(folder, notebooks or [])
        check_output(output)
        refuse_same(output, folder)
        say_what_is_left_out(folder)
        for path in paths:
            print(write_bare(path, output))

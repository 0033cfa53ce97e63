"""`fedlearn student`: an edition of the workbook for graded work."""

import os
from pathlib import Path
from typing import Annotated

import typer

from workbook_tools.commands.arguments import check_output, errors_in_one_line, say_what_is_left_out


def student(
    output: Annotated[Path, typer.Option(help="A new folder for the edition.")] = Path("build/student"),
    folder: Annotated[Path, typer.Option(help="Where the notebooks are.")] = Path("notebooks"),
) -> None:
    """Write an edition for graded work: numbered exercises, and a package without solutions.

    Its checks test functions, which may be tried as often as one likes, and
    keep silent about predictions and explorations. What is handed in is graded
    with fedlearn grade.

    Example: fedlearn student --output build/student
    """
    with errors_in_one_line():
        from workbook_tools.editions.graded.edition import write_edition

        if not os.path.lexists(output):  # one that exists is refused for that
            check_output(output)
        count = write_edition(folder, output)
        say_what_is_left_out(folder)
    print(f"Written to {output}: {count} exercises, without solutions.")

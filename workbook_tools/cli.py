"""The `fedlearn` command; what its parts do is in `commands/`, one file each."""

import typer

from workbook_tools.commands.bare import bare
from workbook_tools.commands.claims import claims
from workbook_tools.commands.colab import colab
from workbook_tools.commands.compare import CompareCommand, compare
from workbook_tools.commands.data import data
from workbook_tools.commands.deploy import deploy
from workbook_tools.commands.doctor import doctor
from workbook_tools.commands.flower import flower
from workbook_tools.commands.grade import grade
from workbook_tools.commands.run import run
from workbook_tools.commands.student import student
from workbook_tools.commands.sweep import sweep

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _main() -> None:
    """Run the notebooks of the Federated Learning Workbook, compare, teach and grade with them."""


for _command in (run, sweep, compare, claims, flower, deploy, student, grade, bare, colab, data, doctor):
    app.command(cls=CompareCommand if _command is compare else None)(_command)

"""The `fedlearn` command; what its parts do is in `commands/`, one file each."""

import typer

from fedlearn_helpers.commands.colab import colab
from fedlearn_helpers.commands.compare import compare
from fedlearn_helpers.commands.data import data
from fedlearn_helpers.commands.doctor import doctor
from fedlearn_helpers.commands.flower import flower
from fedlearn_helpers.commands.grade import grade
from fedlearn_helpers.commands.run import run
from fedlearn_helpers.commands.student import student
from fedlearn_helpers.commands.sweep import sweep

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _main() -> None:
    """Run the notebooks of the Federated Learning Workbook, compare, teach and grade with them."""


for _command in (run, sweep, compare, flower, student, grade, colab, data, doctor):
    app.command()(_command)

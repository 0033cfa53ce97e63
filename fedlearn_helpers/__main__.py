"""`python -m fedlearn_helpers` is the `fedlearn` command."""

from fedlearn_helpers.cli import app

app(prog_name="fedlearn")

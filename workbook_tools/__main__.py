"""`python -m workbook_tools` is the `fedlearn` command."""

from workbook_tools.cli import app

app(prog_name="fedlearn")

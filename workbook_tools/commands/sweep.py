"""`fedlearn sweep`: one notebook with many values of its parameters."""

import html
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedlearn_helpers.errors import InputError
from workbook_tools.commands.arguments import (
    check_output,
    errors_in_one_line,
    parse_value,
    runs_in_parallel,
    say_what_is_left_out,
    split_pair,
    whole_numbers,
)

if TYPE_CHECKING:
    import pandas as pd

    from workbook_tools.execution.sweeps import Finished, Sweep

_TABLE, _FIGURE, _REPORT, _RUNS = "sweep.csv", "sweep.png", "sweep.html", "runs"


def sweep(
    notebook: Annotated[str, typer.Argument(help="Its number, such as 04.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", help="name=value or name=value,value,value; a text with commas in quotes."),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Numbers with commas between them.")] = "0,1,2",
    metrics: Annotated[
        str,
        typer.Option(
            help="What the figure shows, with commas between them: columns of the table that hold numbers.",
            show_default="up to four that end in test_accuracy, if there are any",
        ),
    ] = "",
    workers: Annotated[str, typer.Option(help='Runs in parallel: "auto" (one per core) or a number.')] = "auto",
    folder: Annotated[Path, typer.Option(help="Where the notebooks are.")] = Path("notebooks"),
    output: Annotated[Path, typer.Option(help="Folder for the runs, the table, the figure and the report.")] = Path(
        "build/sweep"
    ),
) -> None:
    """Run one notebook with all combinations of several values and seeds; write a table, a figure and a report.

    Finished runs are kept: stop it and start it again, or add values and seeds,
    and only what is missing is run. A run that fails is reported, and the
    others go on; the exit code is 1 then.

    Example: fedlearn sweep 04 -p alpha=0.1,0.5,1 -p num_rounds=5 --seeds 0,1

    With commas in a value: fedlearn sweep 05 -p 'strategies="fedavg,scaffold"'
    """
    with errors_in_one_line():
        from workbook_tools.execution import sweeps
        from workbook_tools.execution.notebooks import choose

        (path,) = choose(folder, [notebook])
        plan = sweeps.Sweep(path, _values(parameter or []), whole_numbers("seeds", seeds))
        plan.check()
        count = runs_in_parallel(workers)
        check_output(output)
        say_what_is_left_out(folder)
        output.mkdir(parents=True, exist_ok=True)
        finished = sweeps.perform(plan, output / _RUNS, count, _tell)
        table = sweeps.tabulate(plan, finished)
        _write(plan, table, finished, output, metrics)
    if failed := sum(outcome.status != sweeps.OK for outcome in finished):
        sys.exit(f"{failed} of {len(finished)} runs failed; see {output / _REPORT}.")


def _values(pairs: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of each parameter."""
    values: dict[str, list[Any]] = {}
    for name, text in map(split_pair, pairs):
        if name in values:
            raise InputError(f"parameter must be given once, with commas between its values, got {name!r} twice")
        found = parse_value(name, f"[{text}]")
        if not found or None in found:
            raise InputError(f"the values of {name} must stand between commas, got {text!r}")
        values[name] = [value for position, value in enumerate(found) if value not in found[:position]]
    return values


def _tell(run: Mapping[str, Any], outcome: "Finished", seconds: float) -> None:
    print(f"{_described(run)}: {seconds:.0f} s, {outcome.status}", flush=True)


def _described(run: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in run.items())


def _write(plan: "Sweep", table: "pd.DataFrame", finished: Sequence["Finished"], output: Path, metrics: str) -> None:
    from fedlearn_helpers import plots
    from fedlearn_helpers.files import write_whole
    from fedlearn_helpers.lessons.common.parameters import split_names
    from workbook_tools.execution import pages, sweeps
    from workbook_tools.execution.sweep_figure import draw_sweep

    write_whole(output / _TABLE, table.to_csv(index=False))
    problem = None
    failed = table["status"] != sweeps.OK
    body = f"<p>{len(table)} runs of {html.escape(plan.notebook.name)}, {failed.sum()} of which failed.</p>\n"
    if failed.all():
        (output / _FIGURE).unlink(missing_ok=True)
    else:
        parameters = plan.varied or ("seed",)
        try:
            drawn = sweeps.metrics_to_draw(table, split_names(metrics))
        except InputError as error:  # the runs are done: report them all the same
            drawn, problem = sweeps.metrics_to_draw(table), error
        first, *others = sorted(parameters, key=lambda name: -table[name].nunique())
        figure = draw_sweep(table[~failed], first, drawn, others)
        figure.savefig(output / _FIGURE, dpi=150)
        means = table[~failed].groupby(list(parameters), sort=False)[drawn].mean()
        alt = f"{', '.join(drawn)} against {', '.join(parameters)}; the table below has the numbers."
        body += plots.image(figure, alt) + "\n"
        print(means.to_string(float_format="{:.4g}".format))
    body += _failures(plan, finished, output) + "\n<h2>All runs</h2>\n" + _shown(table, plan)
    write_whole(output / _REPORT, pages.page("Sweep", body))
    print(f"Written to {output / _TABLE} and {output / _REPORT}.")
    if problem is not None:
        raise problem


def _failures(plan: "Sweep", finished: Sequence["Finished"], output: Path) -> str:
    from workbook_tools.execution import sweeps

    lines = []
    for run, outcome in zip(plan.runs(), finished, strict=True):
        if outcome.status != sweeps.OK:
            where = html.escape(str(outcome.folder.relative_to(output)))
            lines.append(f"<li>{html.escape(_described(run))}: {html.escape(outcome.status)} (kept in {where})</li>")
    return "\n".join(["<h2>Failures</h2>", "<ul>", *lines, "</ul>"]) if lines else ""


def _shown(table: "pd.DataFrame", plan: "Sweep") -> str:
    """Return the table's parameters and single numbers as HTML."""
    numbers = [name for name in table.columns if table[name].dtype.kind in "ifb"]
    kept = [name for name in table.columns if name in (*plan.values, "seed", "status", *numbers)]
    page = table[kept].to_html(index=False, border=0, na_rep="", float_format="{:.4g}".format)
    return f'<div style="overflow-x:auto" tabindex="0">{page}</div>'

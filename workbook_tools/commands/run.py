"""`fedlearn run`: the notebooks from a terminal, with parameters."""

import html
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common import contents
from workbook_tools.commands.arguments import (
    check_output,
    errors_in_one_line,
    parse_parameters,
    refuse_same,
    runs_in_parallel,
    say_what_is_left_out,
)

if TYPE_CHECKING:
    from workbook_tools.execution.apart import Apart

_Run = tuple[Path, Path, dict[str, Any]]  # a notebook, the file to write it to, its parameters

AT_ONCE = 2  # a notebook alone leaves one of two cores idle for a third of its time


def run(
    notebooks: Annotated[list[str] | None, typer.Argument(help="Numbers, such as 00 02; all of them if none.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="name=value, as in the notebook's parameters cell.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the notebooks are.")] = Path("notebooks"),
    output: Annotated[Path, typer.Option(help="Where executed notebooks, HTML and results go.")] = Path("build"),
    keep_going: Annotated[
        bool, typer.Option("--keep-going/--stop", help="Whether the others run when one has failed.")
    ] = True,
    save_times: Annotated[bool, typer.Option(help="Store the measured times in the workbook's contents.")] = False,
) -> None:
    """Execute notebooks in order, render them to HTML and write an index with their headline numbers.

    Two run at a time, but for --save-times and --stop. The exit code is 1 if
    a notebook failed.

    Example: fedlearn run 01 02 -p dataset=cifar10 -p seed=1
    """
    with errors_in_one_line():
        from workbook_tools.execution.notebooks import GLOSSARY, choose, refuse_unknown
        from workbook_tools.execution.reading import read_notebook
        from workbook_tools.execution.rendering import render

        paths = choose(folder, notebooks or [])
        parameters = parse_parameters(parameter or [])
        refuse_unknown(paths, list(parameters))
        if (glossary := folder / GLOSSARY).exists():
            read_notebook(glossary)
        if "output_dir" in parameters:
            raise InputError("parameter must not be 'output_dir' in fedlearn run, use --output")
        check_output(output)
        refuse_same(output, folder)
        say_what_is_left_out(folder)
        alone = save_times or not keep_going or len(paths) == 1
        at_once = 1 if alone else min(AT_ONCE, runs_in_parallel("auto"))
        seconds, failed = _execute(paths, parameters, output, at_once=at_once, keep_going=keep_going)
        if glossary.exists():
            render(glossary, (output / GLOSSARY).with_suffix(".html"))
        index = _write_index(output)
    print(f"{len(seconds) - failed} of {len(paths)} notebooks ran; see {index}")
    if failed:
        sys.exit(1)
    if save_times:
        contents.save_seconds({name: _of_its_cells(output / "results" / name, wall) for name, wall in seconds.items()})


def _execute(
    paths: Sequence[Path], parameters: Mapping[str, Any], output: Path, *, at_once: int, keep_going: bool
) -> tuple[dict[str, float], int]:
    """Execute and render notebooks; return the seconds that each took, by name, and how many failed."""
    from workbook_tools.execution.apart import Apart
    from workbook_tools.execution.notebooks import parameter_names

    output.mkdir(parents=True, exist_ok=True)
    runs: list[_Run] = []
    for path in paths:
        own = {name: value for name, value in parameters.items() if name in parameter_names(path)}
        runs.append((path, output / path.name, {"output_dir": str(output / "results" / path.stem)} | own))
    seconds: dict[str, float] = {}
    failed = 0
    with Apart() as apart, ThreadPoolExecutor(at_once) as pool:
        try:
            begun = _begin(runs, apart, pool, at_once) if at_once > 1 else []
            for number, (path, executed, values) in enumerate(runs):
                print(f"{path.stem:<28}", end="", flush=True)
                problem, wall = begun[number].result() if begun else _timed(None, path, executed, values)
                problem = problem or _render(executed)
                seconds[path.stem] = wall
                print(f"{wall:6.1f} s  {'ok' if problem is None else 'FAILED'}", flush=True)
                if problem is not None:
                    failed += 1
                    print(f"  {problem}", file=sys.stderr)
                    if not keep_going:
                        break
        except BaseException:  # the pool waits for its threads, and they for their processes
            apart.stop()
            raise
    return seconds, failed


def _begin(
    runs: Sequence[_Run], apart: "Apart", pool: ThreadPoolExecutor, at_once: int
) -> list[Future[tuple[str | None, float]]]:
    """Execute notebooks in the threads of a pool; return what each will give, in their order.

    One thread takes them in order, so that the first results come soon. The others take the longest that is left:
    none of those runs alone at the end.
    """
    expected = {entry.name: entry.seconds for entry in contents.entries()}
    results: list[Future[tuple[str | None, float]]] = [Future() for _ in runs]
    left, one_at_a_time = list(range(len(runs))), Lock()

    def work(in_order: bool) -> None:
        while True:
            with one_at_a_time:
                if not left or apart.stopped:  # what is not begun keeps its earlier results
                    return
                number = left[0] if in_order else max(left, key=lambda i: expected.get(runs[i][0].stem, 0.0))
                left.remove(number)
            try:
                results[number].set_result(_timed(apart, *runs[number]))
            except BaseException as error:  # it is for the one who waits for this notebook
                results[number].set_exception(error)

    for thread in range(at_once):
        pool.submit(work, in_order=thread == 0)
    return results


def _timed(apart: "Apart | None", path: Path, executed: Path, values: Mapping[str, Any]) -> tuple[str | None, float]:
    """Execute a notebook, here or in a process of its own; return what went wrong, if anything, and the seconds."""
    from workbook_tools.execution import notebooks

    start = time.perf_counter()
    Path(values["output_dir"], "results.json").unlink(missing_ok=True)  # never show an earlier run's numbers
    if apart is None:
        problem = notebooks.execute(path, executed, values)
    else:
        with tempfile.TemporaryDirectory() as folder:
            problem = apart.execute(path, executed, values, Path(folder, "log.txt"))
    return problem, time.perf_counter() - start


def _render(executed: Path) -> str | None:
    """Write a notebook's page; return what stands against it, if anything."""
    from workbook_tools.execution.rendering import render

    try:
        render(executed, executed.with_suffix(".html"))
    except InputError as error:
        return str(error)
    return None


def _of_its_cells(results: Path, wall: float) -> float:
    """Return how long a notebook's cells took, as it says itself; else the wall time with kernel and rendering."""
    file = results / "results.json"
    return float(json.loads(file.read_text()).get("seconds", wall)) if file.exists() else wall


def _write_index(output: Path) -> Path:
    """Write a page about all executed notebooks in `output`, those of earlier runs too."""
    from fedlearn_helpers.files import write_whole
    from workbook_tools.execution import pages
    from workbook_tools.execution.notebooks import how_it_ran, of_the_workbook

    titles = {entry.name: entry.title for entry in contents.entries()}
    rows = []
    for path in of_the_workbook(output):
        name, ran = path.stem, how_it_ran(path)
        if ran is None:  # somebody else's
            continue
        seconds, problem = ran
        link = f"{name[:2]} {html.escape(titles[name])}"
        if (output / f"{name}.html").exists():
            link = f'<a href="{name}.html">{link}</a>'
        if problem is None:
            summary = pages.folded(_headline(output / "results" / name / "results.json").split("<br>"))
        else:
            summary = f"failed: {html.escape(problem)}"
        rows.append((link, "" if seconds is None else f"{seconds:.0f} s", summary))
    body = "<p>Notebooks as they ran on this machine, and what they measured.</p>\n"
    body += pages.table(("Notebook", "Time", "Measured"), rows)
    index = output / "index.html"
    write_whole(index, pages.page("Federated Learning Workbook", body))
    return index


def _headline(results: Path) -> str:
    """Return the single numbers among a notebook's metrics, as HTML."""
    if not results.exists():
        return ""
    try:
        metrics = json.loads(results.read_text(encoding="utf-8"))["metrics"]
        numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # somebody else's, or a part of ours
        return f"{results.name} cannot be read"
    return "<br>".join(
        f"{html.escape(name.replace('_', ' '))}: {value:,.4g}"
        if isinstance(value, float)
        else f"{html.escape(name.replace('_', ' '))}: {value:,}"
        for name, value in numbers.items()
    )

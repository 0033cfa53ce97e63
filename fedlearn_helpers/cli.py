"""The `fedlearn` command: run the notebooks, or the Flower app, from a terminal, with parameters."""

import html
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from fedlearn_helpers import contents
from fedlearn_helpers.commands.colab import colab
from fedlearn_helpers.compare_command import compare
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.results import write_json

_GLOSSARY = "glossary.ipynb"  # text only, nothing to execute

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(compare)
app.command()(colab)


@app.callback()
def _main() -> None:
    """Run the notebooks of the Federated Learning Workbook."""


@app.command()
def run(
    notebooks: Annotated[list[str] | None, typer.Argument(help="Numbers, such as 00 02; all of them if none.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="name=value, as in the notebook's parameters cell.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the notebooks are.")] = Path("notebooks"),
    output: Annotated[Path, typer.Option(help="Where executed notebooks, HTML and results go.")] = Path("build"),
    save_times: Annotated[bool, typer.Option(help="Store the measured times in the workbook's contents.")] = False,
) -> None:
    """Execute notebooks in order, render them to HTML and write an index with their headline numbers.

    Example: fedlearn run 01 02 -p dataset=cifar10 -p seed=1
    """
    try:
        paths = _choose(folder, notebooks or [])
        parameters = _parse(parameter or [])
        _refuse_unknown(paths, parameters)
    except InputError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    output.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    failed: dict[str, str] = {}
    for path in paths:
        print(f"{path.stem:<28}", end="", flush=True)
        start = time.perf_counter()
        problem = _execute(path, output, parameters)
        seconds[path.stem] = time.perf_counter() - start
        print(f"{seconds[path.stem]:6.1f} s  {'ok' if problem is None else 'FAILED'}", flush=True)
        if problem is not None:
            failed[path.stem] = problem
            print(f"  {problem}", file=sys.stderr)
    if (glossary := folder / _GLOSSARY).exists():
        _render(glossary, (output / _GLOSSARY).with_suffix(".html"))
    index = _write_index(output, paths, seconds, failed)
    print(f"{len(paths) - len(failed)} of {len(paths)} notebooks ran; see {index}")
    if failed:
        sys.exit(1)
    if save_times:
        contents.save_seconds(seconds)


@app.command()
def flower(
    clients: Annotated[int, typer.Option(help="How many clients there are.")] = 10,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", help="name=value, as in the run-config of the app's pyproject.toml."),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="host:port of a Ray cluster that this machine belongs to.", show_default="none")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the Flower app is.")] = Path("flower_app"),
    output: Annotated[Path, typer.Option(help="File for the results, in JSON.")] = Path("build/flower.json"),
    timeout: Annotated[float, typer.Option(help="Seconds after which the run is given up.")] = 3600,
) -> None:
    """Run the workbook's federation on Flower's own runtime, on this machine or on a Ray cluster.

    Unlike flwr run, it exits with 1 if the run or a client failed, and leaves no process behind.

    Example: fedlearn flower --clients 10 -p num-server-rounds=3 -p dataset=cifar10
    """
    from fedlearn_helpers.deployment import run_app

    print(f"Running {folder} with {clients} clients; Flower and Ray take half a minute to start …", flush=True)
    try:
        results = run_app(
            folder, run_config=_parse(parameter or []), num_supernodes=clients, ray_address=cluster, timeout=timeout
        )
    except (InputError, RuntimeError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    write_json(output, results)
    for entry in results["rounds"]:
        print(f"round {entry['round']}: {_metrics(entry)}")
    print(f"Written to {output}.")


def _metrics(entry: dict[str, Any]) -> str:
    """Return the metrics of one round on one line, such as "train loss 0.512, server accuracy 0.830"."""
    return ", ".join(
        f"{phase} {name} {value:.3f}"
        for phase in ("train", "evaluate", "server")
        for name, value in entry.get(phase, {}).items()
        if isinstance(value, float)
    )


def _choose(folder: Path, numbers: list[str]) -> list[Path]:
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise InputError(f"folder must hold the notebooks, got {str(folder)!r} with none")
    chosen = [path for number in numbers for path in paths if path.name[:2] == number.zfill(2)]
    if unknown := [number for number in numbers if number.zfill(2) not in {path.name[:2] for path in paths}]:
        known = ", ".join(path.name[:2] for path in paths)
        raise InputError(f"notebooks must be among {known}, got {', '.join(unknown)}")
    return chosen or paths


def _parse(pairs: list[str]) -> dict[str, Any]:
    parameters = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise InputError(f"a parameter must look like name=value, got {pair!r}")
        parameters[name] = yaml.safe_load(value)  # as papermill reads its -p
    return parameters


def _refuse_unknown(paths: list[Path], parameters: dict[str, Any]) -> None:
    """Papermill runs a notebook with a misspelt parameter all the same, and ignores it."""
    import papermill

    known = {path.stem: set(papermill.inspect_notebook(str(path))) for path in paths}
    for name in parameters:
        if not any(name in names for names in known.values()):
            allowed = ", ".join(sorted(set.union(*known.values())))
            raise InputError(f"parameter must be one of {allowed}, got {name!r}")


def _execute(path: Path, output: Path, parameters: dict[str, Any]) -> str | None:
    """Execute one notebook and render it; return None, or one line that says what went wrong."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    results = output / "results" / path.stem
    own = {name: value for name, value in parameters.items() if name in papermill.inspect_notebook(str(path))}
    executed = output / path.name
    (results / "results.json").unlink(missing_ok=True)  # never show an earlier run's numbers
    problem = None
    try:
        papermill.execute_notebook(
            str(path),
            str(executed),
            parameters={"output_dir": str(results)} | own,
            kernel_name="python3",
            progress_bar=False,
            extra_arguments=["--IPKernelApp.log_level=50"],  # the kernel's own warnings are no news to a reader
        )
    except PapermillExecutionError as error:
        problem = f"{error.ename}: {error.evalue}".splitlines()[0]
    _render(executed, executed.with_suffix(".html"))
    return problem


def _render(notebook: Path, page: Path) -> None:
    """Write a notebook as HTML, with links to the other pages."""
    from nbconvert import HTMLExporter

    text, _ = HTMLExporter(embed_images=True).from_filename(str(notebook))
    _write(page, text.replace(".ipynb", ".html").replace("</head>", f"{_READABLE}</head>", 1))


def _write_index(output: Path, paths: list[Path], seconds: dict[str, float], failed: dict[str, str]) -> Path:
    titles = {entry.name: entry.title for entry in contents.entries()}
    rows = []
    for path in paths:
        link = f'<a href="{path.stem}.html">{path.name[:2]} {html.escape(titles.get(path.stem, path.stem))}</a>'
        if path.stem in failed:
            summary = f"failed: {html.escape(failed[path.stem])}"
        else:
            summary = _headline(output / "results" / path.stem / "results.json")
        rows.append(f"<tr><td>{link}</td><td>{seconds[path.stem]:.0f} s</td><td>{summary}</td></tr>")
    page = _PAGE.format(rows="\n".join(rows))
    return _write(output / "index.html", page)


def _headline(results: Path) -> str:
    """Return the single numbers among a notebook's metrics, as HTML."""
    metrics = json.loads(results.read_text())["metrics"] if results.exists() else {}
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    return "<br>".join(
        f"{html.escape(name.replace('_', ' '))}: {value:,.4g}"
        if isinstance(value, float)
        else f"{html.escape(name.replace('_', ' '))}: {value:,}"
        for name, value in numbers.items()
    )


def _write(path: Path, text: str) -> Path:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    return Path(file.name).replace(path)


# What nbconvert's pages lack for weak eyes: links that are not told by colour alone, dark prompts, code on white.
_READABLE = """<style>
:root { --jp-cell-editor-background: #ffffff; }
.jp-RenderedHTMLCommon a:link, .jp-RenderedHTMLCommon a:visited { text-decoration: underline; }
.jp-InputPrompt, .jp-OutputPrompt { color: #1b1b1b !important; opacity: 1 !important; }
</style>
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Federated Learning Workbook</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #1b1b1b; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: .6em .8em; border-bottom: 1px solid #ccc; }}
</style>
</head>
<body>
<h1>Federated Learning Workbook</h1>
<p>Notebooks as they ran on this machine, and what they measured.</p>
<table>
<thead><tr><th scope="col">Notebook</th><th scope="col">Time</th><th scope="col">Measured</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""

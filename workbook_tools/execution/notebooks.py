"""Notebook files: which there are, which parameters they take, how they are executed.

As a program, `python -m workbook_tools.execution.notebooks NOTEBOOK EXECUTED PARAMETERS`, it executes one notebook,
prints what went wrong, if anything did, and exits with 1 then.
"""

import ast
import importlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedlearn_helpers.errors import InputError

GLOSSARY = "glossary.ipynb"  # text only, nothing to execute
_DIED = "the kernel died; perhaps there was too little memory"
LESSONS = "fedlearn_helpers.lessons"
_CHECKED = re.compile(rf"from {re.escape(LESSONS)}\.(\w+) import [^#]*?\bcheck_parameters\b")


def numbered(folder: Path) -> list[Path]:
    """Return the notebooks with a number, in reading order.

    Raises:
        InputError: there is none.
    """
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise InputError(f"folder must hold the notebooks, got {str(folder)!r} with none")
    return paths


def choose(folder: Path, numbers: Sequence[str]) -> list[Path]:
    """Return the notebooks with these numbers, such as "04" or "4", in the order asked for; all of them if none.

    Raises:
        InputError: a number that no notebook has.
    """
    paths = numbered(folder)
    if unknown := [number for number in numbers if number.zfill(2) not in {path.name[:2] for path in paths}]:
        known = ", ".join(path.name[:2] for path in paths)
        raise InputError(f"notebooks must be among {known}, got {', '.join(unknown)}")
    return [path for number in numbers for path in paths if path.name[:2] == number.zfill(2)] or paths


def default_parameters(path: Path) -> dict[str, Any]:
    """Return the parameters of a notebook, with the values that they have in it."""
    import papermill

    declared = papermill.inspect_notebook(str(path))
    return {name: ast.literal_eval(facts["default"]) for name, facts in declared.items()}


def refuse_unknown(paths: Sequence[Path], names: Sequence[str]) -> None:
    """Refuse parameters that no notebook has: papermill runs a notebook with a misspelt one all the same.

    Raises:
        InputError: a name that is in none of the notebooks.
    """
    known = {name for path in paths for name in default_parameters(path)}
    for name in names:
        if name not in known:
            raise InputError(f"parameter must be one of {', '.join(sorted(known))}, got {name!r}")


def check_values(path: Path, values: Mapping[str, Any]) -> None:
    """Check parameters as the notebook itself does first of all, without running it.

    Raises:
        InputError: a value that cannot work.
    """
    if found := _CHECKED.search("\n".join(_code(path))):
        rules = importlib.import_module(f"{LESSONS}.{found[1]}.parameters")
        rules.check_parameters(default_parameters(path) | dict(values))


def _code(path: Path) -> list[str]:
    import nbformat

    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def execute(path: Path, executed: Path, values: Mapping[str, Any]) -> str | None:
    """Execute a notebook; return None, or one line that says what went wrong.

    Args:
        path: the notebook.
        executed: the file to write it to as it ran, also when it failed.
        values: parameters by name.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from workbook_tools.execution.kernels import SocketKernelManager

    unfinished = executed.with_name(f".unfinished-{executed.name}")
    problem = None
    try:
        papermill.execute_notebook(
            str(path),
            str(unfinished),
            parameters=dict(values),
            kernel_name="python3",
            progress_bar=False,
            kernel_manager_class=SocketKernelManager,
            extra_arguments=["--IPKernelApp.log_level=50"],  # the kernel's own warnings are no news to a reader
        )
    except PapermillExecutionError as error:
        problem = _problem(error.ename, error.evalue)
    except DeadKernelError as error:
        problem = _problem(type(error).__name__, _DIED)
        _note_death(unfinished)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    unfinished.replace(executed)
    return problem


def how_it_ran(executed: Path) -> tuple[float, str | None] | None:
    """Return how many seconds an executed notebook took, and one line that says what went wrong, or None.

    None is returned for a notebook that `execute` has not written.
    """
    import nbformat

    notebook = nbformat.read(executed, as_version=4)
    if "papermill" not in notebook.metadata:
        return None
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    problems = (_problem(output.ename, output.evalue) for output in outputs if output.output_type == "error")
    return notebook.metadata.papermill.duration, next(problems, None)


def _note_death(executed: Path) -> None:
    """Write into a notebook that its kernel died, as an error of the cell that was running."""
    import nbformat

    notebook = nbformat.read(executed, as_version=4)
    begun = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.metadata.papermill.start_time]
    begun[-1].outputs.append(nbformat.v4.new_output("error", ename="DeadKernelError", evalue=_DIED, traceback=[_DIED]))
    nbformat.write(notebook, executed)


def _problem(name: str, value: str) -> str:
    said = next((line.strip() for line in value.splitlines() if line.strip()), "")
    return f"{name}: {said}" if said else f"{name} without a message"


if __name__ == "__main__":
    sys.exit(execute(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])))

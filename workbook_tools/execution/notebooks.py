"""Notebook files: which there are, which parameters they take, how they are executed.

As a program, `python -m workbook_tools.execution.notebooks NOTEBOOK EXECUTED PARAMETERS`, it executes one notebook,
prints what went wrong, if anything did, and exits with 1 then.
"""

import importlib
import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.lessons.common import contents
from workbook_tools.execution.defaults import value_of

GLOSSARY = "glossary.ipynb"  # text only, nothing to execute
_DIED = "the kernel died; perhaps there was too little memory"
LESSONS = "fedlearn_helpers.lessons"
_CHECKED = re.compile(rf"from {re.escape(LESSONS)}\.(\w+) import [^#]*?\bcheck_parameters\b")


def of_the_workbook(folder: Path) -> list[Path]:
    """Return the workbook's notebooks in a folder, in reading order: those that its contents name.

    Raises:
        InputError: there is none.
    """
    paths = [path for entry in contents.entries() if (path := folder / f"{entry.name}.ipynb").is_file()]
    if not paths:
        others = f" of the workbook's, but {', '.join(left)}" if (left := left_out(folder)) else ""
        raise InputError(f"folder must hold the notebooks, got {str(folder)!r} with none{others}")
    return paths


def left_out(folder: Path) -> list[str]:
    """Return the names of the notebooks in a folder that are not the workbook's: copies, drafts and the like."""
    known = {GLOSSARY, *(f"{entry.name}.ipynb" for entry in contents.entries())}
    return sorted(path.name for path in folder.glob("*.ipynb") if path.name not in known)


def choose(folder: Path, numbers: Sequence[str]) -> list[Path]:
    """Return the notebooks with these numbers, such as "04" or "4", in the order asked for, each once; all if none.

    Raises:
        InputError: a number that no notebook has.
    """
    paths = of_the_workbook(folder)
    if unknown := [number for number in numbers if number.zfill(2) not in {path.name[:2] for path in paths}]:
        known = ", ".join(path.name[:2] for path in paths)
        raise InputError(f"notebooks must be among {known}, got {', '.join(unknown)}")
    asked = [path for number in numbers for path in paths if path.name[:2] == number.zfill(2)]
    return list(dict.fromkeys(asked)) or paths


def parameter_names(path: Path) -> list[str]:
    """Return the names of a notebook's parameters.

    Raises:
        InputError: it is no notebook.
    """
    return list(_declared(path))


def default_parameters(path: Path) -> dict[str, Any]:
    """Return the parameters of a notebook, with the values that they have in it.

    Raises:
        InputError: it is no notebook, or a value is neither a literal nor arithmetic.
    """
    return {name: value_of(name, text) for name, text in _declared(path).items()}


def _declared(path: Path) -> dict[str, str]:
    """Return the code of the value of each parameter."""
    import papermill

    from workbook_tools.execution.reading import read_notebook

    read_notebook(path)
    try:
        declared = papermill.inspect_notebook(str(path))
    except Exception as error:  # it reads less than we do
        raise InputError(
            f"{path.name} must be a notebook that papermill can run, got {one_line(error)[:200]}"
        ) from None
    return {name: facts["default"] for name, facts in declared.items()}


def refuse_unknown(paths: Sequence[Path], names: Sequence[str]) -> None:
    """Refuse parameters that no notebook has: papermill runs a notebook with a misspelt one all the same.

    Raises:
        InputError: a name that is in none of the notebooks.
    """
    known = {name for path in paths for name in parameter_names(path)}
    for name in names:
        if name not in known:
            raise InputError(f"parameter must be one of {', '.join(sorted(known))}, got {name!r}")


def check_values(path: Path, values: Mapping[str, Any]) -> None:
    """Check parameters as the notebook itself does first of all, without running it.

    Where results go is left to those who say it: the notebook's own folder is not looked at.

    Raises:
        InputError: a value that cannot work.
    """
    if found := _CHECKED.search("\n".join(code_of(path))):
        rules = importlib.import_module(f"{LESSONS}.{found[1]}.parameters")
        rules.check_parameters(default_parameters(path) | {"output_dir": tempfile.gettempdir()} | dict(values))


def code_of(path: Path) -> list[str]:
    """Return the code of a notebook's cells.

    Raises:
        InputError: it is no notebook.
    """
    from workbook_tools.execution.reading import read_notebook

    return [cell.source for cell in read_notebook(path).cells if cell.cell_type == "code"]


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

    unfinished = unfinished_of(executed)
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


def unfinished_of(executed: Path) -> Path:
    """Return the file that a notebook is written to while it runs."""
    return executed.with_name(f".unfinished-{executed.name}")


def how_it_ran(executed: Path) -> tuple[float | None, str | None] | None:
    """Return how many seconds an executed notebook took, and one line that says what went wrong, or None.

    The seconds are None for one that has not come to its end, or cannot be read. None alone is returned for a notebook
    that papermill has not written.
    """
    from workbook_tools.execution.reading import read_notebook

    try:
        notebook = read_notebook(executed)
    except (InputError, OSError) as error:
        return None, one_line(error)
    facts = notebook.metadata.get("papermill")
    if not isinstance(facts, Mapping):
        return None
    seconds = facts.get("duration")
    if not isinstance(seconds, int | float):
        return None, "it has not come to its end"
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    errors = (output for output in outputs if output.get("output_type") == "error")
    problems = (_problem(str(error.get("ename")), str(error.get("evalue"))) for error in errors)
    return seconds, next(problems, None)


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

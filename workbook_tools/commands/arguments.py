"""What several commands do with their arguments."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.files import try_writing

_CONSTANTS = {"true": True, "false": False, "none": None, "null": None}


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the command with one line, and exit code 1, where a value cannot work, or a file cannot be written."""
    try:
        yield
    except (InputError, OSError) as error:
        sys.exit(one_line(error))
    except RuntimeError as error:
        if "home directory" not in str(error):  # what Path.home() says, in whatever asked for it
            raise
        sys.exit("InputError: HOME must be set to a folder, got nothing, and this user has no home of its own")


def check_output(output: Path) -> None:
    """Try to write into the folder for what a command makes; it is left as it was.

    Raises:
        InputError: nothing can be written there.
    """
    try:
        try_writing(output)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"output must be a folder that can be made and written into ({reason}), got {str(output)!r}"
        ) from None


def say_what_is_left_out(folder: Path) -> None:
    """Print one line about the notebooks in a folder that are not the workbook's, if there are any."""
    from workbook_tools.execution.notebooks import left_out

    if names := left_out(folder):
        print(f"Left out, as the workbook's contents do not name them: {', '.join(names)}", file=sys.stderr)


def refuse_same(output: Path, folder: Path) -> None:
    """Refuse to write notebooks into the folder that they are read from.

    Raises:
        InputError: it is the same folder.
    """
    if output.resolve() == folder.resolve():
        raise InputError(f"output must be another folder than that of the notebooks, got {str(output)!r}")


def split_pair(pair: str) -> tuple[str, str]:
    """Return name and value of "name=value".

    Raises:
        InputError: it does not look like that.
    """
    name, equals, value = pair.partition("=")
    if not (name and equals):
        raise InputError(f"a parameter must look like name=value, got {pair!r}")
    return name, value


def parse_value(name: str, text: str) -> Any:
    """Return the value of a parameter: a number, True, False, None or a text, as papermill reads its -p.

    Other than there, "true", "false" and "null" count, too, and what begins with a bracket or a quotation mark is read
    as YAML: [0.1, 0.5] is a list, and "10" in quotation marks a text.

    Raises:
        InputError: it begins so, and is no YAML.
    """
    if not text.startswith(("[", "{", '"', "'")):
        return _typed(text)
    try:
        return _value_of(yaml.compose(text, yaml.BaseLoader))
    except yaml.YAMLError:
        raise InputError(f"the value of {name} must be a number, a text or another YAML value, got {text!r}") from None


def _value_of(node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_value_of(one) for one in node.value]
    if isinstance(node, yaml.MappingNode):
        return {_value_of(key): _value_of(value) for key, value in node.value}
    return _typed(node.value) if node.style is None else node.value  # a style is a kind of quotation marks


def _typed(text: str) -> Any:
    """Turn a text into what it means; YAML itself would take 1e-3 for a text, 010 for 8 and on for True."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return _CONSTANTS.get(text.lower(), text)


def parse_parameters(pairs: Sequence[str]) -> dict[str, Any]:
    """Return parameters by name from texts such as "alpha=0.1".

    Raises:
        InputError: a text that does not look like this.
    """
    return {name: parse_value(name, value) for name, value in map(split_pair, pairs)}


def whole_numbers(name: str, text: str) -> tuple[int, ...]:
    """Return the numbers in a text such as "0,1,2".

    Raises:
        InputError: something else stands between the commas, or nothing at all.
    """
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{name} must be whole numbers with commas between them, got {text!r}") from None
    return tuple(dict.fromkeys(numbers))


def runs_in_parallel(workers: str) -> int:
    """Return how many notebooks are executed at a time; "auto" is one per core that this process may use.

    Raises:
        InputError: something else than "auto" or a number >= 1.
    """
    from fedlearn_helpers.simulation.workers import cores

    if workers == "auto":
        return cores()
    if not (workers.isdecimal() and int(workers) >= 1):
        raise InputError(f"workers must be 'auto' or a whole number >= 1, got {workers!r}")
    return int(workers)

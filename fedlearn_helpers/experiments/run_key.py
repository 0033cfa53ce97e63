"""What decides a run, kept beside its results, so that results of another run are not taken for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedlearn_helpers.errors import InputError


def refuse_others(rule: str, path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Check that what was kept is of this run.

    Args:
        rule: the beginning of the message: what must be.
        path: where it was kept.
        found: the facts that were kept with it.
        expected: those of this run.

    Raises:
        InputError: a fact differs; the message names the first.
    """
    for name, value in expected.items():
        if found.get(name) != value:
            raise InputError(f"{rule}, and in {path} {name} is {found.get(name)!r}, not {value!r}")

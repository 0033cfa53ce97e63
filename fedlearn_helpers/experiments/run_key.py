"""What decides a run, kept beside its results, so that results of another run are not taken for them.

Code that computes decides; code that only draws, or that runs and publishes notebooks, does not.
"""

import functools
import hashlib
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

import fedlearn_helpers
from fedlearn_helpers.errors import InputError

PACKAGE = Path(fedlearn_helpers.__file__).parent
_COMPUTES_NOTHING = ("lessons", "plots.py", "progress.py")


def computing_code() -> list[Path]:
    """Return the package's files that numbers depend on: all but lessons, figures and the progress line."""
    skipped = [PACKAGE / name for name in _COMPUTES_NOTHING]
    return [path for path in PACKAGE.rglob("*.py") if not any(path.is_relative_to(skip) for skip in skipped)]


def digest_of(files: Iterable[Path]) -> str:
    """Return one hash of the contents and names of files, in whatever order they come."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@functools.cache
def code_key() -> dict[str, str]:
    """Return what a computation's numbers depend on besides its arguments: this package, PyTorch and Flower."""
    return {
        "source of the package": digest_of(computing_code()),
        "torch": version("torch"),
        "flwr": version("flwr"),
    }


def model_key(model: nn.Module) -> str:
    """Return one hash of a model's layers and weights."""
    digest = hashlib.sha256(repr(model).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def refuse_others(rule: str, path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Check that what was kept is of this run.

    Args:
        rule: the beginning of the message: what must be.
        path: where it was kept.
        found: the run key that was kept with it.
        expected: that of this run.

    Raises:
        InputError: they differ; the message names the first difference.
    """
    for name, value in expected.items():
        if found.get(name) != value:
            raise InputError(f"{rule}, and in {path} {name} is {found.get(name)!r}, not {value!r}")

"""What decides a run, kept beside its results, so that results of another run are not taken for them.

Code that computes decides; code that only draws, or that runs and publishes notebooks, does not.
"""

import functools
import hashlib
import pickle
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import fedlearn_helpers
from fedlearn_helpers.data import Dataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.partition.split import Shard

PACKAGE = Path(fedlearn_helpers.__file__).parent
_COMPUTE_NOTHING = ("plots.py", "progress.py", "figures.py", "widgets.py", "exercises.py", "exercise.py", "contents.py")


def computing_code() -> list[Path]:
    """Return the package's files that numbers depend on: all but figures, exercises and the progress line."""
    return [path for path in PACKAGE.rglob("*.py") if path.name not in _COMPUTE_NOTHING]


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
        digest.update(name.encode() + _bytes_of(tensor))
    return digest.hexdigest()[:16]


def data_key(dataset: Dataset, shards: Sequence[Shard]) -> str:
    """Return one hash of which client holds which examples, of these examples, and of the test examples."""
    digest = hashlib.sha256(f"{dataset.name} {dataset.task.name}".encode())
    for shard in shards:
        for part in (shard.train, shard.validation):
            indices = torch.as_tensor(part)
            for tensor in (indices, dataset.train_inputs[indices], dataset.train_targets[indices]):
                digest.update(_bytes_of(tensor))
    for tensor in (dataset.test_inputs, dataset.test_targets):
        digest.update(_bytes_of(tensor))
    return digest.hexdigest()[:16]


def _bytes_of(tensor: Tensor) -> bytes:
    return tensor.cpu().contiguous().numpy().tobytes()


def function_key(function: object) -> str:
    """Return a name of a function, and a hash of its code and of what it holds: the same in another process.

    What it calls is not followed.
    """
    if function is None:
        return "None"
    digest = hashlib.sha256()
    if isinstance(function, functools.partial):
        name = f"partial of {function_key(function.func)}"
        held: list[object] = [*function.args, *sorted(function.keywords.items())]
    else:
        name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
        held = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
        held += [getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None)]
    if (code := getattr(function, "__code__", None)) is not None:
        constants = [constant for constant in code.co_consts if not hasattr(constant, "co_code")]
        digest.update(code.co_code + repr(constants).encode())
    for value in held:
        digest.update(value_key(value).encode())
    return f"{name} {digest.hexdigest()[:8]}"


def value_key(value: object) -> str:
    """Return a text that tells a value from others: the same in another process."""
    if isinstance(value, bool | int | float | str | bytes | None):
        return repr(value)
    if isinstance(value, list | dict | set):  # what a function has counted or collected: it changes in a run
        return type(value).__name__
    if callable(value):
        return function_key(value)
    try:
        return hashlib.sha256(pickle.dumps(value)).hexdigest()[:16]
    except Exception:  # whatever cannot be pickled is told by its kind
        return type(value).__qualname__


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

"""What decides a run, kept beside its results, so that results of another run are not taken for them.

Code that computes decides; code that only draws, or that runs and publishes notebooks, does not.
"""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

import fedlearn_helpers
from fedlearn_helpers.data import Dataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments.value_key import digest_of_values
from fedlearn_helpers.partition.split import Shard

PACKAGE = Path(fedlearn_helpers.__file__).parent
LESSONS = PACKAGE / "lessons"
_TEXTS = (PACKAGE / "decision", PACKAGE / "project")  # questions, claims, plans: nothing that trains reads them
_COMPUTE_NOTHING = (
    "plots.py",
    "progress.py",
    "figures.py",
    "widgets.py",
    "trigger_widget.py",
    "exercises.py",
    "exercise.py",
    "contents.py",
    "recall.py",
    "claims.py",
)


def computing_code() -> list[Path]:
    """Return the package's files that numbers depend on: all but figures, exercises, texts and the progress line."""
    return [
        path
        for path in PACKAGE.rglob("*.py")
        if path.name not in _COMPUTE_NOTHING and path.parent.name != "exercises" and path.parent not in _TEXTS
    ]


def digest_of(files: Iterable[Path]) -> str:
    """Return one hash of the contents and names of files, in whatever order they come."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@functools.cache
def code_key(lesson: str | None = None) -> dict[str, str]:
    """Return what a computation's numbers depend on besides its arguments: this package, PyTorch, NumPy and Flower.

    Args:
        lesson: whose notebook computes, if it is one's: the code of other lessons decides nothing then.
    """
    folders = {path.name for path in LESSONS.iterdir()}
    others = folders - {"common", lesson} if lesson in folders else set()
    return {
        "source of the package": digest_of(path for path in computing_code() if path.parent.name not in others),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "flwr": version("flwr"),
    }


def model_key(model: nn.Module) -> str:
    """Return one hash of a model: its layers, their code where it is of no library, weights and buffers."""
    return digest_of_values([model])


def dataset_key(dataset: Dataset) -> str:
    """Return one hash of a data set's content: its task, all examples and targets; its name decides nothing."""
    parts = (dataset.train_inputs, dataset.train_targets, dataset.test_inputs, dataset.test_targets)
    return digest_of_values([dataset.task, getattr(dataset, "num_classes", None), *parts])


def data_key(dataset: Dataset, shards: Sequence[Shard]) -> str:
    """Return one hash of which client holds which examples, of these examples, and of the test examples."""

    def parts() -> Iterator[object]:  # one after the other: together they are a copy of the data set
        yield from (dataset.task, dataset.test_inputs, dataset.test_targets)
        for shard in shards:
            for part in (shard.train, shard.validation):
                indices = torch.as_tensor(part)
                yield from (indices, dataset.train_inputs[indices], dataset.train_targets[indices])

    return digest_of_values(parts())


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

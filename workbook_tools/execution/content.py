"""What is in the data sets that notebooks name: a name may mean other images tomorrow, or in another folder."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments.run_key import dataset_key
from workbook_tools.execution.notebooks import default_parameters

_PARAMETER = "dataset"


def data_sets(notebook: Path, runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the name of the data set of each run; an empty one if the notebook names none.

    Args:
        notebook: whose parameter `dataset` is meant.
        runs: the parameters of each run that differ from the notebook's own.
    """
    default = default_parameters(notebook).get(_PARAMETER)
    names = (run.get(_PARAMETER, default) for run in runs)
    return [name if isinstance(name, str) else "" for name in names]


def content_of(names: Iterable[str]) -> dict[str, str]:
    """Return a hash of the content of each data set, loaded as a notebook will load it, and once each.

    It is empty for data that cannot be loaded: their run will fail, and say so itself.
    """
    keys = {}
    for name in set(names):
        try:
            keys[name] = dataset_key(load_dataset(name))
        except (InputError, OSError):
            keys[name] = ""
    return keys

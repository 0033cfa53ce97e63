"""`results.json`: what a notebook leaves behind for whoever ran it with parameters."""

import math
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fedlearn_helpers import __version__
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.files import write_json

_VERSIONED = ("flwr", "torch", "numpy")


def write_results(
    output_dir: str | Path, notebook: str, parameters: Mapping[str, Any], metrics: Mapping[str, Any], seconds: float
) -> Path:
    """Write `results.json` into `output_dir` (made if missing), completely or not at all, and return its path.

    Args:
        output_dir: folder to write into.
        notebook: the notebook's name, such as "02_federated_averaging".
        parameters: what the notebook ran with.
        metrics: flat: numbers, texts, or lists of numbers by name.
        seconds: wall time of the notebook.

    Raises:
        InputError: a metric that is NaN or infinite, which JSON cannot hold.
    """
    for name, value in metrics.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, float) and not math.isfinite(number):
                raise InputError(f"metric {name} must be finite, got {number}: the training has diverged")
    versions = {"python": platform.python_version(), "fedlearn-helpers": __version__}
    versions |= {name: version(name) for name in _VERSIONED}
    content = {
        "notebook": notebook,
        "parameters": dict(parameters),
        "metrics": dict(metrics),
        "seconds": round(seconds, 1),
        "versions": versions,
    }
    path = Path(os.path.expanduser(output_dir)) / "results.json"
    write_json(path, content)
    return path

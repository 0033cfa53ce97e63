"""`results.json`: what a notebook leaves behind for whoever ran it with parameters."""

import json
import math
import os
import platform
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

_VERSIONED = ("fedlearn-helpers", "flwr", "torch", "numpy")


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
        ValueError: a metric that is NaN or infinite, which JSON cannot hold.
    """
    for name, value in metrics.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, float) and not math.isfinite(number):
                raise ValueError(f"metric {name} must be finite, got {number}: the training has diverged")
    versions = {"python": platform.python_version()} | {name: version(name) for name in _VERSIONED}
    content = {
        "notebook": notebook,
        "parameters": dict(parameters),
        "metrics": dict(metrics),
        "seconds": round(seconds, 1),
        "versions": versions,
    }
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    file = tempfile.NamedTemporaryFile("w", dir=folder, prefix=".results-", delete=False)
    try:
        with file:
            file.write(text)
        os.chmod(file.name, 0o644)
        os.replace(file.name, folder / "results.json")
    except BaseException:
        os.unlink(file.name)
        raise
    return folder / "results.json"

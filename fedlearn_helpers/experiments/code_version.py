"""Which code computes: kept with results, so that they are not mixed with those of other code."""

import functools
import hashlib
from importlib.metadata import version
from pathlib import Path


@functools.cache
def source_digest() -> str:
    """Return one hash of the package's source."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def code_facts() -> dict[str, str]:
    """Return what a computation's numbers depend on besides its arguments: this package, PyTorch and Flower."""
    return {"source of the package": source_digest(), "torch": version("torch"), "flwr": version("flwr")}

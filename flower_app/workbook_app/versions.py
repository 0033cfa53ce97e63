"""Which software a client runs: other versions of some give other numbers, or none, in silence."""

from collections.abc import Mapping
from importlib.metadata import version

import torch

import fedlearn_helpers
from fedlearn_helpers.errors import InputError

_MUST_BE_EQUAL = ("flwr", "fedlearn_helpers")


def own_versions() -> dict[str, str]:
    """Return the versions in this process, by package."""
    return {
        "flwr": version("flwr"),
        "fedlearn_helpers": fedlearn_helpers.__version__,
        "torch": torch.__version__,
    }


def check_versions(client: int, theirs: Mapping[str, str]) -> None:
    """Check that a client runs the server's Flower and the server's version of the package.

    Raises:
        InputError: it does not.
    """
    ours = own_versions()
    if other := [name for name in _MUST_BE_EQUAL if theirs.get(name) != ours[name]]:
        needed = " and ".join(f"{name} {ours[name]}" for name in other)
        found = " and ".join(f"{name} {theirs.get(name, 'of no known version')}" for name in other)
        raise InputError(f"client {client} must have the server's versions, {needed}, got {found}")


def other_torch(client: int, theirs: Mapping[str, str]) -> str | None:
    """Return a sentence if a client computes with another PyTorch; its numbers differ in the last bits, no more."""
    ours, other = own_versions()["torch"], theirs.get("torch")
    return None if other == ours else f"client {client} computes with torch {other}, the server with torch {ours}"

"""Importing the federation is quick: what takes long to import is imported when it is needed."""

import subprocess
import sys

import pytest

SLOW = {"pandas", "matplotlib", "pyarrow", "IPython", "ray", "torch._dynamo", "sklearn", "scipy"}
MODULES = ("fedlearn_helpers", "fedlearn_helpers.simulation", "fedlearn_helpers.data")


@pytest.mark.slow
def test_nothing_slow_is_imported_but_torch_and_flower():
    """One after the other in one process: what comes with the first is no longer new, but there as well."""
    code = f"""
import importlib, sys, torch, flwr.app, flwr.clientapp, flwr.serverapp.strategy
before = set(sys.modules)
for module in {MODULES}:
    importlib.import_module(module)
    print(module, *sorted({SLOW} & (set(sys.modules) - before)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == list(MODULES)

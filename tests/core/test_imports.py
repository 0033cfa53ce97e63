"""Importing the federation is quick: what takes long to import is imported when it is needed."""

import subprocess
import sys

import pytest

SLOW = {"pandas", "matplotlib", "pyarrow", "IPython", "ray", "torch._dynamo", "sklearn", "scipy"}


@pytest.mark.parametrize("module", ["fedlearn_helpers", "fedlearn_helpers.simulation", "fedlearn_helpers.data"])
def test_nothing_slow_is_imported_but_torch_and_flower(module):
    code = (
        "import sys, torch, flwr.app, flwr.clientapp, flwr.serverapp.strategy; before = set(sys.modules); "
        f"import {module}; print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not SLOW & set(run.stdout.split())

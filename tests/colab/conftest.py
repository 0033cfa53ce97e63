"""What the tests of editions share."""

import os
import sys
from pathlib import Path

import environments
import pytest

sys.path.append(str(Path(__file__).parents[1] / "lessons"))  # lesson.py: the small parameters of every notebook


@pytest.fixture(scope="session")
def colab():
    """A copy of an environment like Colab's, in which nothing was set up yet."""
    python = environments.find_python(environments.COLAB_PYTHON)
    if python is None:
        pytest.skip(f"needs Python {environments.COLAB_PYTHON}, as Colab has it: on the path, or under pyenv")
    environment = environments.copy(environments.like_colab(python), f"colab-run-{os.getpid()}")
    yield environment
    environments.remove(environment)


@pytest.fixture(scope="session")
def bare():
    """A copy of an environment with PyTorch, pip and a kernel."""
    environment = environments.copy(environments.bare(), f"bare-run-{os.getpid()}")
    yield environment
    environments.remove(environment)

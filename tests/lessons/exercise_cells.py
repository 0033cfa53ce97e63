"""Finds the exercise behind a cell of a notebook."""

import importlib
import re

from nbformat import NotebookNode

from fedlearn_helpers.lessons.common.exercise import Exercise


def exercise_of(name: str, check: NotebookNode) -> Exercise:
    """Return the exercise that a cell tagged `check` of this notebook checks."""
    module = importlib.import_module(f"fedlearn_helpers.lessons.{name[3:]}.exercises")
    return getattr(module, re.match(r"exercises\.(\w+)\.check\(", check.source)[1])

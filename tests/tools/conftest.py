"""A workbook of one quick notebook, and a cache apart from the user's."""

import os

import nbformat
import pytest
from quick import quick_notebook


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    if "FEDLEARN_CACHE" in os.environ:
        yield
        return
    os.environ["FEDLEARN_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    del os.environ["FEDLEARN_CACHE"]


@pytest.fixture
def workbook(tmp_path, monkeypatch):
    """Write the notebook into a folder `notebooks`, and go there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    nbformat.write(quick_notebook(), tmp_path / "notebooks" / "00_start_here.ipynb")
    return tmp_path


@pytest.fixture
def workbook_without_exercises(workbook):
    """Where nothing is graded: a run does not wait for PyTorch and Flower to be imported."""
    nbformat.write(quick_notebook(exercises={}), workbook / "notebooks" / "00_start_here.ipynb")
    return workbook

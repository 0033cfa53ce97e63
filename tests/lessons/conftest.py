"""Keeps a test's cache apart from the user's, unless a run of all tests shares one."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    import os

    if "FEDLEARN_CACHE" not in os.environ:
        os.environ["FEDLEARN_CACHE"] = str(tmp_path_factory.mktemp("cache"))
        yield
        del os.environ["FEDLEARN_CACHE"]
    else:
        yield

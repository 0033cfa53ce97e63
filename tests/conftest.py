"""What tests of several folders share: the order, and the site, built once."""

import sys
from pathlib import Path

import pytest
from xdist.scheduler import LoadGroupScheduling

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
pytest_plugins = ["browser_plugin"]
_SHARED = ("lab", "site")  # fixtures that take long to make


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The quick tests first, those in a browser last: Playwright leaves an event loop running in the process.

    What needs JupyterLab is done in one process, and what needs the site in one, so that each is there once.
    """
    items.sort(key=_turn)
    for item in items:
        if group := next((name for name in _SHARED if name in item.fixturenames), None):
            item.add_marker(pytest.mark.xdist_group(group))


def pytest_xdist_make_scheduler(config, log):
    """Hand the tests to processes by what they share, else by file."""

    class Scheduler(LoadGroupScheduling):
        def _split_scope(self, nodeid):
            return super()._split_scope(nodeid).split("::")[0]

    return Scheduler(config, log)


def _turn(item):
    """Return when a test's turn is: the smaller, the sooner."""
    if item.get_closest_marker("browser"):
        return 3
    return 2 if "site" in item.fixturenames else int(item.get_closest_marker("notebook") is not None)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site's folder: of notebooks as `fedlearn run` left them, where it did, and of unexecuted ones elsewhere."""
    import make_site

    sources = sorted((ROOT / "notebooks").glob("[0-9w][0-9]_*.ipynb"))
    folder = tmp_path_factory.mktemp("site") / "site"
    make_site.build_site({path.name: make_site.executed(path) or path for path in sources}, folder)
    return folder

"""What tests of several folders share: the order, and the site, built once."""

import re
import sys
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
pytest_plugins = ["browser_plugin"]
SHARED = ("jupyterlab", "sphinx")  # what takes long to make, as it stands in the ids of tests that need it
BESIDE_JUPYTERLAB = ("colab", "flower_app")  # they start processes of their own, and wait for them


def pytest_collection_modifyitems(items):
    """The quick tests first, those in a browser last: Playwright leaves an event loop running in the process.

    JupyterLab's take several minutes in one process. Behind them comes what the other process does meanwhile, and what
    an event loop does not disturb.
    """
    items.sort(key=_turn)


def pytest_xdist_make_scheduler(config, log):
    """Hand the tests to processes by file; but what shares JupyterLab, or the site, to one, so that each is there once.

    The process that hands them out knows their ids alone: that is why these fixtures have a parameter.
    """

    class Scheduler(LoadFileScheduling):
        def _split_scope(self, nodeid):
            shared = re.search(rf"[\[-]({'|'.join(SHARED)})[]-]", nodeid)
            return shared[1] if shared else super()._split_scope(nodeid)

    return Scheduler(config, log)


def _turn(item):
    """Return when a test's turn is: the smaller, the sooner."""
    in_browser = item.get_closest_marker("browser") is not None
    if "site" in item.fixturenames:
        return 5 if in_browser else 4
    if in_browser:
        return 2
    if item.path.parent.name in BESIDE_JUPYTERLAB:
        return 3
    return int(item.get_closest_marker("notebook") is not None)


@pytest.fixture(scope="session", params=["sphinx"])
def site(tmp_path_factory):
    """The site's folder: of notebooks as `fedlearn run` left them, where it did, and of unexecuted ones elsewhere."""
    import make_site

    sources = sorted((ROOT / "notebooks").glob("[0-9w][0-9]_*.ipynb"))
    folder = tmp_path_factory.mktemp("site") / "site"
    make_site.build_site({path.name: make_site.executed(path) or path for path in sources}, folder)
    return folder

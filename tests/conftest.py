"""What tests of several folders share: the order, and the site, built once."""

import re
import sys
from collections import defaultdict
from itertools import chain, zip_longest
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
pytest_plugins = ["browser_plugin"]
SHARED = ("jupyterlab", "sphinx")  # what takes long to make, as it stands in the ids of tests that need it
BESIDE_JUPYTERLAB = "colab"
ALTERNATING = ("lessons", "flower_app")  # the first compute, the others wait for processes of their own


def pytest_collection_modifyitems(items):
    """Those that need neither notebook nor server first, those in a browser last: Playwright leaves an event loop.

    JupyterLab's take several minutes in one process. Behind them comes what the other process does meanwhile, and what
    an event loop does not disturb. Tests of servers mostly wait: their files alternate with those of the lessons, so
    that the other process has something to compute.
    """
    by_file = {folder: defaultdict(list) for folder in ALTERNATING}
    for item in items:
        if _turn(item) == 1:
            by_file[item.path.parent.name][item.path].append(item)
    files = zip_longest(*(of_folder.values() for of_folder in by_file.values()), fillvalue=())
    places = {item: place for place, item in enumerate(chain.from_iterable(chain.from_iterable(files)))}
    items.sort(key=lambda item: (_turn(item), places.get(item, 0)))


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
    folder = item.path.parent.name
    return 3 if folder == BESIDE_JUPYTERLAB else int(folder in ALTERNATING)


@pytest.fixture(scope="session", params=["sphinx"])
def site(tmp_path_factory):
    """The site's folder: of notebooks as `fedlearn run` left them, where it did, and of unexecuted ones elsewhere."""
    import make_site

    sources = sorted((ROOT / "notebooks").glob("[0-9w][0-9]_*.ipynb"))
    folder = tmp_path_factory.mktemp("site") / "site"
    make_site.build_site({path.name: make_site.executed(path) or path for path in sources}, folder)
    return folder

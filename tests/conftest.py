"""What tests of several folders share: the order, and the site, built once."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
pytest_plugins = ["browser_plugin"]


def pytest_collection_modifyitems(items):
    """The quick tests first; those in a browser last: Playwright leaves an event loop running in the process."""
    items.sort(key=lambda item: 2 if item.get_closest_marker("browser") else bool(item.get_closest_marker("notebook")))


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site's folder: of notebooks as `fedlearn run` left them, where it did, and of unexecuted ones elsewhere."""
    import make_site

    sources = sorted((ROOT / "notebooks").glob("[0-9w][0-9]_*.ipynb"))
    folder = tmp_path_factory.mktemp("site") / "site"
    make_site.build_site({path.name: make_site.executed(path) or path for path in sources}, folder)
    return folder

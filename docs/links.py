"""Links: the anchors they name, and whether they lead somewhere in a folder of HTML pages."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LINKING = {"a": "href", "link": "href", "script": "src", "img": "src"}


def anchor_of(heading: str) -> str:
    """Return the anchor of a heading as JupyterLab makes it, so that one link works in both."""
    return heading.replace(" ", "-")


def broken_links(folder: Path) -> list[str]:
    """Return links that lead nowhere, as "page: link"; those into the Internet are not followed.

    Args:
        folder: a site; its pages link with relative paths.
    """
    folder = folder.resolve()
    pages = {path: _Page(path) for path in sorted(folder.rglob("*.html")) if path.parent.name != "_static"}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            anchor = unquote(parts.fragment)
            found = target.is_file() and (not anchor or target not in pages or anchor in pages[target].anchors)
            if not found:
                broken.append(f"{path.relative_to(folder)}: {link}")
    return broken


class _Page(HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if name := attributes.get("id"):
            self.anchors.add(name)
        link = attributes.get(_LINKING.get(tag, ""))
        if link and link != "#":
            self.links.append(link)

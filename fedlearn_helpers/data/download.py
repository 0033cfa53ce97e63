"""Fetch one file over HTTP, completely or not at all, with a progress line."""

import http.client
import os
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedlearn_helpers.errors import one_line
from fedlearn_helpers.progress import Progress

_SECONDS_TO_WAIT = 30
_CHUNK = 1 << 18


def download(url: str, target: Path) -> None:
    """Write the file at `url` to `target`; `target` appears only when every byte has arrived.

    Raises:
        OSError: not a URL, no connection, an HTTP error, a server that says nothing for 30 seconds, or fewer bytes
            than it announced.
    """
    part = target.with_name(target.name + ".part")
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS_TO_WAIT) as response, part.open("wb") as file:
            announced = int(response.headers.get("Content-Length") or 0)
            with Progress(
                max(announced // 1_000_000, 1) if announced else None, f"Downloading {target.name}, MB"
            ) as bar:
                received = 0
                while chunk := response.read(_CHUNK):
                    file.write(chunk)
                    received += len(chunk)
                    bar.update(received // 1_000_000)
        if announced and received != announced:
            raise OSError(f"{url} announced {announced} bytes and sent {received}")
        os.replace(part, target)
    except (http.client.HTTPException, ValueError) as error:  # a broken response, or no URL at all
        raise OSError(f"{url}: {one_line(error)}") from None
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def give_up_on_silence() -> Iterator[None]:
    """Let other downloaders wait no longer than `download` does; some would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS_TO_WAIT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

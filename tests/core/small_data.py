"""A small CIFAR-10, and a web server that can misbehave."""

import io
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

HUB_PATH = "/datasets/uoft-cs/cifar10/resolve/main/plain_text/"
NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there
SILENCE = 0.6  # seconds; the tests that use it are less patient


@dataclass
class Cifar10Folder:
    """A small CIFAR-10 in the Hub's layout, and the pixels that went into it."""

    root: Path
    files: dict[str, Path]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def hub_table(images, labels):
    """Return images (n, 3, height, width) and labels as a table in the Hub's layout."""
    encoded = [{"bytes": png(image.transpose(1, 2, 0)), "path": f"{i}.png"} for i, image in enumerate(images)]
    return pa.table({"img": encoded, "label": pa.array(labels, pa.int64())})


def png(pixels):
    """Return pixels (height, width, 3) as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def assert_holds(dataset, expected):
    """Check that the data set has exactly the pixels and labels of the Cifar10Folder."""
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(dataset, name).numpy(), getattr(expected, name), err_msg=name)


@dataclass
class StandIn:
    """A web server that takes the place of the Hub and of torchvision's mirrors.

    Attributes:
        url: where it listens.
        files: what it serves, by URL path; anything else is 404.
        trouble: how it fails, by the start of the URL path: an HTTP status, "short" (fewer bytes than
            announced), "chunked" (the same, length unknown), "garbage" (no HTTP), "silent" (half, then nothing more) or
            "mute" (nothing at all).
        requests: the paths that were asked for, in order.
    """

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    trouble: dict[str, int | str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def answer(self, handler):
        self.requests.append(handler.path)
        trouble = next((how for start, how in self.trouble.items() if handler.path.startswith(start)), None)
        if trouble is None and handler.path not in self.files:
            trouble = 404
        if isinstance(trouble, int):
            handler.send_error(trouble)
            return
        body = self.files[handler.path]
        if trouble == "garbage":
            handler.wfile.write(b"this is not HTTP\r\n\r\n")
            return
        if trouble == "mute":
            time.sleep(SILENCE)
            return
        handler.send_response(200)
        if trouble == "chunked":
            handler.send_header("Transfer-Encoding", "chunked")
            body = f"{len(body):x}\r\n".encode() + body[:50]
        else:
            handler.send_header("Content-Length", str(len(body)))
            body = body[: len(body) // 2] if trouble in ("short", "silent") else body
        handler.end_headers()
        handler.wfile.write(body)
        if trouble == "silent":
            handler.wfile.flush()
            time.sleep(SILENCE)

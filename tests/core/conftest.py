"""What the tests share: an empty cache, a small CIFAR-10, and a stand-in for the web."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from small_data import HUB_PATH, NOWHERE, Cifar10Folder, StandIn, hub_table


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Point the cache to a folder of the test, and away from the network and the user's own data."""
    folder = tmp_path_factory.mktemp("cache") / "fedlearn"
    monkeypatch.setenv("FEDLEARN_CACHE", str(folder))
    monkeypatch.delenv("FEDLEARN_DATA", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


@pytest.fixture
def small_disk():
    """Return a block in which no file can grow beyond so many bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource", reason="needs limits of Unix")

    @contextmanager
    def limit(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture
def cifar10_folder(tmp_path):
    """Write 12 + 6 images of noise as parquet files below `tmp_path/data`; the caller sets FEDLEARN_DATA."""
    folder = tmp_path / "data" / "cifar10" / "plain_text"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    files, arrays = {}, {}
    for split, count in (("train", 12), ("test", 6)):
        images = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        labels = rng.integers(0, 10, count)
        files[split] = folder / f"{split}-00000-of-00001.parquet"
        pq.write_table(hub_table(images, labels), files[split])
        arrays |= {f"{split}_images": images, f"{split}_labels": labels}
    return Cifar10Folder(tmp_path / "data", files, **arrays)


@pytest.fixture
def stand_in():
    """Run a `StandIn` in a thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server_state.answer(self)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server_state = StandIn(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server_state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def hub(stand_in, cifar10_folder, monkeypatch):
    """Serve the small CIFAR-10 under the Hub's paths, and send downloads there."""
    for path in cifar10_folder.files.values():
        stand_in.files[HUB_PATH + path.name] = path.read_bytes()
    monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
    return stand_in


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """One core for each process that runs tests: with a thread for each core they would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

"""Ctrl-C, and the stop button of a notebook, at a time when they would do harm."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Put off an interrupt to the end of the block. Python interrupts the main thread alone."""
    before = signal.getsignal(signal.SIGINT)
    if before is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    put_off: list[object] = []
    signal.signal(signal.SIGINT, lambda *details: put_off.append(details))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if put_off:
            signal.raise_signal(signal.SIGINT)

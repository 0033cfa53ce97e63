"""What is written and logged during a run: kept apart, or left out."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import flwr

_FLOWER = str(Path(flwr.__file__).parent) + os.sep
_SIZE_MODS = "comms_mods.py"


@contextmanager
def quiet_flower() -> Iterator[None]:
    """Leave out what Flower itself logs below errors: the progress line and the history say the same.

    What apps log stays, also through Flower's own `log`; so does what mods of Flower log that do nothing else.
    """

    def is_news(record: logging.LogRecord) -> bool:
        own = record.pathname.startswith(_FLOWER) and not record.pathname.endswith(_SIZE_MODS)
        return not own or record.levelno >= logging.ERROR

    logger = logging.getLogger("flwr")
    logger.addFilter(is_news)
    try:
        yield
    finally:
        logger.removeFilter(is_news)


@contextmanager
def captured() -> Iterator[Callable[[], tuple[str, str]]]:
    """Collect what is written to stdout and stderr inside the block, by handlers of logs too.

    Yields a function that returns both, and forgets them.
    """
    printed, complained = StringIO(), StringIO()

    def take() -> tuple[str, str]:
        taken = printed.getvalue(), complained.getvalue()
        for stream in (printed, complained):
            stream.seek(0)
            stream.truncate()
        return taken

    ours = {id(sys.stdout): printed, id(sys.__stdout__): printed}
    ours |= {id(sys.stderr): complained, id(sys.__stderr__): complained}
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    handlers: list[Any] = [handler for logger in loggers for handler in getattr(logger, "handlers", ())]
    before = {handler: handler.stream for handler in handlers if id(vars(handler).get("stream", ...)) in ours}
    try:
        for handler, stream in before.items():
            handler.stream = ours[id(stream)]
        with redirect_stdout(printed), redirect_stderr(complained):
            yield take
    finally:
        for handler, stream in before.items():
            handler.stream = stream

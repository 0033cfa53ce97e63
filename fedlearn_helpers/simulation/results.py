"""What strategies return in apps that do not hand it over."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FunctionType
from typing import Any

from flwr.serverapp.strategy import Result, Strategy


@contextmanager
def returned_results() -> Iterator[list[Result]]:
    """Collect what `Strategy.start` returns inside the block, but not in a block inside it.

    Subclasses that exist when the block begins may have a `start` of their own.
    """
    results: list[Result] = []
    before = {kind: vars(kind)["start"] for kind in _with_subclasses(Strategy) if "start" in vars(kind)}
    try:
        for kind, start in before.items():
            if isinstance(start, FunctionType):
                kind.start = _collecting(getattr(start, "collected", start), results)
        yield results
    finally:
        for kind, start in before.items():
            kind.start = start


def _collecting(start: Callable[..., Any], results: list[Result]) -> Callable[..., Any]:
    @wraps(start)
    def start_and_collect(*arguments: Any, **named: Any) -> Any:
        result = start(*arguments, **named)
        results.extend([result] if isinstance(result, Result) else [])
        return result

    vars(start_and_collect)["collected"] = start
    return start_and_collect


def _with_subclasses(kind: Any) -> set[Any]:
    return {kind}.union(*map(_with_subclasses, kind.__subclasses__()))

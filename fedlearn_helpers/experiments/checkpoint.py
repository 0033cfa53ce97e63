"""A federation's last finished round in one file, from which a run that was stopped goes on."""

import os
import random
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.experiments.run_key import refuse_others
from fedlearn_helpers.experiments.value_key import is_function, value_key
from fedlearn_helpers.files import try_writing, write_whole
from fedlearn_helpers.simulation.arguments import check_kind
from fedlearn_helpers.simulation.encoding import encode, seal, unseal
from fedlearn_helpers.simulation.packing import PackedRecords, pack, unpack

_HEAD = b"fedlearn checkpoint 2\n"  # the number changes with the format


class Checkpoint:
    """What is needed to go on after a round.

    That is the server's arrays, whatever else its strategy keeps (momentum, control variates), all clients' states,
    what was measured so far, and who is drawn next. A round that was stopped half-way is repeated from its beginning:
    some of its clients had changed their states by then, and the file knows nothing of that. Hence the same bits as
    without a stop.

    The file holds data alone, and their hash: reading it runs no code, and one damaged byte is noticed.

    Args:
        path: of the file; None keeps nothing.
        key: what decides the run. A file with another key is refused.
        argument: what the path is called where it was given, for messages.

    Attributes:
        arrays: the server's, after the last finished round; None before the first.
        states: of the clients, for `simulate(..., states=…)`, which goes on changing them.
        measured: the server's own measurements by round; whoever measures adds to them.
        finished: how many rounds were finished when this object was made.

    Raises:
        InputError: a file of another run, one that cannot be read, or a place where none can be written.
    """

    def __init__(self, path: Path | str | None, key: Mapping[str, Any], *, argument: str = "checkpoint") -> None:
        check_kind(argument, path, (str, Path, type(None)), "a path or None")
        self._path, self._key, self._argument = None if path is None else Path(path), dict(key), argument
        self.arrays: ArrayRecord | None = None
        self.states: dict[int, PackedRecords] = {}
        self.measured: dict[int, dict[str, Any]] = {}
        self.finished = 0
        self._random: dict[str, Any] | None = None
        self._strategy: dict[str, Any] | None = None
        self._left_out: dict[str, str] = {}
        if self._path is None:
            return
        if not os.path.exists(self._path):
            _check_place(argument, self._path)
            return
        try:
            saved = unseal(_HEAD, self._path.read_bytes())
            refuse_others(f"{argument} must be of the same run", self._path, saved["key"], self._key)
            self.finished, self.arrays, self.measured = saved["round"], saved["arrays"], saved["measured"]
            self.states = {client: pack(state) for client, state in saved["states"].items()}
            self._random, self._strategy = saved["random"], saved["strategy"]
        except InputError:
            raise
        except Exception:  # what half a file, or somebody else's, raises has many names
            raise InputError(
                f"{argument} must be a file of an earlier run, and {self._path} is damaged or of another version"
            ) from None

    def keep(self, server_round: int, arrays: ArrayRecord, strategy: Strategy) -> None:
        """Keep a finished round; the file is replaced completely or not at all.

        Raises:
            InputError: the strategy has changed something that is no number, text or array, nor made of such; or the
                file cannot be written, and that of the round before is still there.
        """
        if self._path is None:
            return
        kept, left_out = _attributes_of(strategy)
        for name, what in left_out.items():
            if self._left_out.get(name) != what:
                raise InputError(
                    f"{self._argument} must be None with a server that changes its attribute {name}, a "
                    f"{what.split()[0]}: only numbers, texts, arrays, tensors, and lists and dictionaries of such can "
                    "be kept"
                )
        content = {
            "key": self._key,
            "round": server_round,
            "arrays": arrays,
            "states": {client: unpack(state) for client, state in self.states.items()},
            "measured": self.measured,
            "strategy": kept,
            "random": {
                "python": random.getstate(),
                "numpy": np.random.get_state(),
                "torch": torch.get_rng_state(),
            },
        }
        try:
            write_whole(self._path, seal(_HEAD, content))
        except OSError as problem:
            raise InputError(
                f"{self._argument} must be a file that can be written, got {str(self._path)!r}: {one_line(problem)}"
            ) from None

    def restore(self, strategy: Strategy) -> None:
        """Let a new strategy go on as the one that was stopped, and draw the clients that it would have drawn."""
        if self._path is None:
            return
        _, self._left_out = _attributes_of(strategy)
        if self._strategy is not None and self._random is not None:
            _give_back(strategy, self._strategy)
            random.setstate(self._random["python"])
            np.random.set_state(self._random["numpy"])
            torch.set_rng_state(self._random["torch"])


def _check_place(argument: str, path: Path) -> None:
    """Check that a file can be written, before hours of training have gone into it."""
    try:
        with suppress(FileNotFoundError):
            path.lstat()  # whether its name is a possible one
        try_writing(path.parent)
    except (OSError, ValueError):
        raise InputError(f"{argument} must be a file that can be written, got {str(path)!r}") from None


def _attributes_of(strategy: Strategy) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a strategy keeps from round to round.

    Returns:
        Its own attributes by name, and those of strategies that are wrapped in it. And of attributes that are no data a
        text by which a change is noticed. Functions are neither.
    """
    own: dict[str, Any] = {}
    wrapped: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for name, value in vars(strategy).items():
        if isinstance(value, Strategy):
            wrapped[name], inner = _attributes_of(value)
            left_out |= {f"{name}.{attribute}": what for attribute, what in inner.items()}
        elif not is_function(value):
            try:
                encode(value)
            except TypeError:
                left_out[name] = f"{type(value).__qualname__} {value_key(value)}"
            else:
                own[name] = value
    return {"own": own, "wrapped": wrapped}, left_out


def _give_back(strategy: Strategy, kept: Mapping[str, Any]) -> None:
    vars(strategy).update(kept["own"])
    for name, attributes in kept["wrapped"].items():
        _give_back(getattr(strategy, name), attributes)


class Continued(Strategy):
    """A strategy whose first round is not round 1.

    Args:
        strategy: does the work.
        finished: rounds before the first one.
    """

    def __init__(self, strategy: Strategy, finished: int) -> None:
        self._strategy, self._finished = strategy, finished

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As the strategy, in a later round."""
        return self._strategy.configure_train(self._finished + server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """As the strategy, in a later round."""
        return self._strategy.aggregate_train(self._finished + server_round, replies)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As the strategy, in a later round."""
        return self._strategy.configure_evaluate(self._finished + server_round, arrays, config, grid)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """As the strategy, in a later round."""
        return self._strategy.aggregate_evaluate(self._finished + server_round, replies)

    def summary(self) -> None:
        """As the strategy."""
        self._strategy.summary()

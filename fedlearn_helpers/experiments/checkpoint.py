"""A federation's last finished round in one file, from which a run that was stopped goes on."""

import pickle
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments.run_key import refuse_others
from fedlearn_helpers.files import write_whole
from fedlearn_helpers.simulation.packing import PackedRecords, pack, unpack


class Checkpoint:
    """What is needed to go on after a round.

    That is the server's arrays, whatever else its strategy keeps (momentum, control variates), all clients' states,
    what was measured so far, and who is drawn next. A round that was stopped half-way is repeated from its beginning:
    some of its clients had changed their states by then, and the file knows nothing of that. Hence the same bits as
    without a stop.

    Args:
        path: of the file; None keeps nothing. Only open files that you have made yourself: they are pickles.
        key: what decides the run. A file with another key is refused.

    Attributes:
        arrays: the server's, after the last finished round; None before the first.
        states: of the clients, for `simulate(..., states=…)`, which goes on changing them.
        measured: the server's own measurements by round; whoever measures adds to them.
        finished: how many rounds were finished when this object was made.

    Raises:
        InputError: a file of another run, or one that cannot be read.
    """

    def __init__(self, path: Path | str | None, key: Mapping[str, Any]) -> None:
        self._path, self._key = None if path is None else Path(path), dict(key)
        self.arrays: ArrayRecord | None = None
        self.states: dict[int, PackedRecords] = {}
        self.measured: dict[int, dict[str, float]] = {}
        self.finished = 0
        self._random: Any = None
        self._strategy: dict[str, Any] = {}
        if self._path is None or not self._path.exists():
            return
        try:
            saved = pickle.loads(self._path.read_bytes())
            key_then = dict(saved["key"])
            refuse_others("checkpoint must be of the same run", self._path, key_then, self._key)
            self.finished, self.states, self.measured = saved["round"], saved["states"], saved["measured"]
            self._random, self._strategy = saved["random"], saved["strategy"]
            self.arrays = unpack(saved["arrays"]).array_records["arrays"]
        except InputError:
            raise
        except Exception:  # what a pickle of other code or half a file raises has many names
            raise InputError(
                f"checkpoint must be a file of an earlier run, and {self._path} is damaged or of another version"
            ) from None

    def keep(self, server_round: int, arrays: ArrayRecord, strategy: Strategy) -> None:
        """Keep a finished round; the file is replaced completely or not at all."""
        if self._path is None:
            return
        content = {
            "key": self._key,
            "round": server_round,
            "arrays": pack(RecordDict({"arrays": arrays})),
            "states": dict(self.states),
            "measured": dict(self.measured),
            "strategy": {name: value for name, value in vars(strategy).items() if not callable(value)},
            "random": random.getstate(),
        }
        write_whole(self._path, pickle.dumps(content, pickle.HIGHEST_PROTOCOL))

    def restore(self, strategy: Strategy) -> None:
        """Let a new strategy go on as the one that was stopped, and draw the clients that it would have drawn."""
        vars(strategy).update(self._strategy)
        if self._random is not None:
            random.setstate(self._random)


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

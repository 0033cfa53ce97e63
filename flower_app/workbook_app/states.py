"""What a client keeps from round to round, such as SCAFFOLD's control variate or a head of its own.

Flower remembers it until the run ends. A run that goes on from a checkpoint is another run for Flower, so there clients
keep their states in files, in a folder on their own machine.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from flwr.app import ConfigRecord, Context, RecordDict

from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.experiments.run_key import refuse_others
from fedlearn_helpers.files import try_writing, write_whole
from fedlearn_helpers.simulation.encoding import seal, unseal

LAST_TRAINED = "last-trained"  # in a message: the round of the client's last training that the server knows of
_HEAD = b"fedlearn client states 1\n"  # the number changes with the format
_KEPT = "kept"  # in a state that Flower remembers


class Memory(Protocol):
    """States of one client by the round in which they were kept."""

    def before(self, server_round: int) -> tuple[int, RecordDict]:
        """Return the newest state of an earlier round, and its round; 0 and an empty one where there is none."""

    def keep(self, server_round: int, state: RecordDict) -> None:
        """Keep the state after a round."""


class FlowersMemory:
    """Flower's own: it has the newest state, and ends with the run.

    Args:
        context: of the client.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def before(self, server_round: int) -> tuple[int, RecordDict]:
        """Return the only state, and its round."""
        state = self._context.state
        return (int(state.config_records[_KEPT]["round"]) if _KEPT in state else 0), state

    def keep(self, server_round: int, state: RecordDict) -> None:
        """Let Flower remember the state."""
        state[_KEPT] = ConfigRecord({"round": server_round})
        self._context.state = state


class StateFile:
    """The last two states of a client in a file.

    Two, because a server that was stopped repeats the round that it was in: clients that had finished it go on from the
    state before. The file holds data alone, and their hash: reading it runs no code, and one damaged byte is noticed.

    Args:
        folder: is made if it does not exist.
        client: its number.
        key: what decides the run. A file with another key is refused.

    Raises:
        InputError: a file of another run, one that cannot be read, or a place where none can be written.
    """

    def __init__(self, folder: Path, client: int, key: Mapping[str, Any]) -> None:
        self._path, self._key = folder / f"client-{client}.state", dict(key)
        self._first, self._states = 0, dict[int, RecordDict]()
        if not self._path.exists():
            try:
                try_writing(folder)
            except (OSError, ValueError) as problem:
                raise self._cannot_be_written(problem) from None
            return
        try:
            saved = unseal(_HEAD, self._path.read_bytes())
        except (OSError, ValueError):
            raise InputError(
                "client-states-path must be a folder of an earlier run, and "
                f"{self._path} is damaged or of another version"
            ) from None
        refuse_others("client-states-path must be of the same run", self._path, saved["key"], self._key)
        self._first, self._states = saved["first"], saved["states"]

    @property
    def rounds(self) -> list[int]:
        """The rounds whose states are in the file."""
        return sorted(self._states)

    def before(self, server_round: int) -> tuple[int, RecordDict]:
        """Return the newest state of an earlier round, and its round; 0 and an empty one where there was none.

        Raises:
            InputError: there was one, and it is no longer there.
        """
        if earlier := [number for number in self._states if number < server_round]:
            return max(earlier), copy.deepcopy(self._states[max(earlier)])  # whoever trains changes it
        if self._states and self._first < server_round:
            raise InputError(
                f"client-states-path must have the state before round {server_round}, and {self._path} has no older "
                f"one than that of round {min(self._states)}"
            )
        return 0, RecordDict()

    def keep(self, server_round: int, state: RecordDict) -> None:
        """Keep the state after a round, and the newest of an earlier one; the file is replaced whole or not at all."""
        before, earlier = self.before(server_round)
        self._first = self._first if before else server_round
        self._states = ({before: earlier} if before else {}) | {server_round: state}
        try:
            write_whole(self._path, seal(_HEAD, {"key": self._key, "first": self._first, "states": self._states}))
        except OSError as problem:
            raise self._cannot_be_written(problem) from None

    def _cannot_be_written(self, problem: Exception) -> InputError:
        folder = str(self._path.parent)
        return InputError(f"client-states-path must be a folder to write into, got {folder!r}: {one_line(problem)}")

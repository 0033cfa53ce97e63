"""What clients keep between their tasks: in memory, or on disk where there are more clients than memory for them."""

import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.simulation.encoding import decode, encode
from fedlearn_helpers.simulation.packing import PackedRecords, pack, unpack


class StatesOnDisk(MutableMapping[int, PackedRecords]):
    """Client states by client number, one file each; a file is there completely or not at all.

    Args:
        folder: is made if it does not exist.

    Raises:
        InputError: the folder has something in it already, such as the states of another run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            first = next(folder.iterdir(), None)
        except (OSError, ValueError) as error:  # a ValueError: no path has such characters
            raise InputError(f"state_folder must be a folder that can be made, got {str(folder)!r}: {error}") from error
        if first is not None:
            raise InputError(f"state_folder must be empty, got {str(folder)!r} with {first.name!r} in it")

    def __getitem__(self, client: int) -> PackedRecords:
        try:
            return pack(decode(self._path(client).read_bytes()))
        except FileNotFoundError:
            raise KeyError(client) from None

    def __setitem__(self, client: int, state: PackedRecords) -> None:
        unfinished = self._folder / "unfinished"
        with unfinished.open("wb") as file:
            file.writelines(encode(unpack(state)))
        os.replace(unfinished, self._path(client))

    def __delitem__(self, client: int) -> None:
        try:
            self._path(client).unlink()
        except FileNotFoundError:
            raise KeyError(client) from None

    def __iter__(self) -> Iterator[int]:
        return (int(path.stem) for path in self._folder.glob("*.state"))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _path(self, client: int) -> Path:
        return self._folder / f"{client}.state"

"""A folder that two parties can reach: what is public goes through it, and nothing else."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fedlearn_helpers.deployment.house import check_seconds
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.files import write_whole

_LOOKS, _SAYS = 0.5, 10.0  # seconds between looks into the folder, and between lines about it


class Exchange:
    """A folder on one machine, on a shared drive, or two folders between which somebody copies files by hand.

    Args:
        folder: is made if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).expanduser().resolve()
        self.folder.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, content: str | bytes | Mapping[str, Any]) -> None:
        """Put a file there, which appears whole or not at all.

        Args:
            name: of the file.
            content: a mapping becomes JSON.
        """
        write_whole(self.folder / name, content if isinstance(content, str | bytes) else json.dumps(content, indent=1))

    def take(self, name: str) -> dict[str, Any]:
        """Return what a file of JSON says.

        Raises:
            InputError: it is not there, or it is something else.
        """
        try:
            content = json.loads((self.folder / name).read_text())
            if isinstance(content, dict):
                return content
        except (OSError, ValueError):
            pass
        raise InputError(
            f"{name} must be a file of the other side in {self.folder}, whole and unchanged; copy it again"
        )

    def wait_for(self, *names: str, timeout: float, still: Callable[[], str] | None = None) -> list[Path]:
        """Wait until files are there, and say every ten seconds which are not.

        Args:
            names: of the files.
            timeout: seconds to wait, > 0.
            still: returns what else there is to say while waiting.

        Raises:
            RuntimeError: the time is up.
        """
        check_seconds(timeout)
        begun, said = time.monotonic(), -_SAYS
        while missing := [name for name in names if not (self.folder / name).exists()]:
            seconds = time.monotonic() - begun
            what = f"{' and '.join(missing)} in {self.folder}"
            if seconds > timeout:
                raise RuntimeError(f"{what} did not appear within {timeout:g} seconds: does the other notebook run?")
            if seconds - said >= _SAYS:
                more = f"; {still()}" if still else ""
                print(f"waiting for {what} ({seconds:.0f} of {timeout:g} seconds{more})", flush=True)
                said = seconds
            time.sleep(_LOOKS)
        return [self.folder / name for name in names]

    def clear(self) -> None:
        """Delete the files of an earlier time: JSON, apps, keys and certificates, and no others."""
        for path in self.folder.iterdir():
            if path.suffix in (".json", ".fab", ".pub", ".crt") and path.is_file():
                path.unlink()

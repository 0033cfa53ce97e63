"""Which code may run at a hospital: a file of approved hashes, each with the settings that a run must have.

An approval is for one bundle, byte by byte. It is for certain settings, too, where those decide what leaves: the server
chooses the run-config, and the same code with `secure-aggregation = false` sends the model in the clear.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedlearn_helpers.deployment.app_bundle import AppBundle
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.files import write_whole

Setting = str | int | float | bool
_OWNER_READS_AND_WRITES = 0o600


class Approvals:
    """The approved hashes in a file, which is read anew for every question: an approval can be withdrawn at any time.

    Args:
        path: JSON; it need not exist, and then nothing is approved.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def approve(self, app: AppBundle, *, settings: Mapping[str, Setting] | None = None) -> None:
        """Approve an app, in addition to those before.

        Args:
            app: the one that was read.
            settings: what the run-config must say; whatever is not in it may be anything.

        Raises:
            InputError: the app has no such setting, or has it with another type.
        """
        known, settings = app.settings, dict(settings or {})
        for name, value in settings.items():
            if name not in known or type(value) is not type(known[name]):
                wanted = f"{known[name]!r}, its default" if name in known else f"one of {', '.join(known)}"
                raise InputError(f"settings must be the app's, {name!r} like {wanted}, got {value!r}")
        self._write(self._read() | {app.hash: {"app": app.name, "settings": settings}})

    def withdraw(self, app_hash: str) -> None:
        """Approve an app no longer; it runs no more, from its next message on.

        Raises:
            InputError: it was not approved.
        """
        approved = self._read()
        if app_hash not in approved:
            raise InputError(f"app_hash must be approved, got {app_hash!r}")
        self._write({name: entry for name, entry in approved.items() if name != app_hash})

    def hashes(self) -> tuple[str, ...]:
        """Return the approved hashes.

        Raises:
            InputError: the file cannot be read, or is no file of approvals.
        """
        return tuple(self._read())

    def refusal(self, app_hash: str, run_config: Mapping[str, Any] | None = None) -> str | None:
        """Return in one sentence why a run must not be, or None if it may; a file that cannot be read approves nothing.

        Args:
            app_hash: SHA-256 of the app's bytes.
            run_config: all settings of the run; None asks about the app alone.
        """
        try:
            approved = self._read()
        except InputError as error:
            return f"the app with hash {app_hash} is not approved here, since {error}"
        if app_hash not in approved:
            return f"the app with hash {app_hash} is not approved here"
        if run_config is None:
            return None
        for name, value in approved[app_hash]["settings"].items():
            got = run_config.get(name)
            if type(got) is not type(value) or got != value:
                return f"the app with hash {app_hash} is approved here for {name} = {value!r} alone, got {got!r}"
        return None

    def _read(self) -> dict[str, Any]:
        if not os.path.lexists(self.path):
            return {}
        try:
            approved = json.loads(self.path.read_text())["approved"]
            if all(dict(entry["settings"]) is not None for entry in approved.values()):
                return approved
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        raise InputError(f"the file of approvals cannot be used: {str(self.path)!r}")

    def _write(self, approved: Mapping[str, Any]) -> None:
        write_whole(self.path, json.dumps({"approved": approved}, indent=1))
        self.path.chmod(_OWNER_READS_AND_WRITES)

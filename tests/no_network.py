"""An environment in which programs in Python reach nothing but this machine; what they ask for is written down.

It is the guard of `fedlearn grade`. Looking up a name counts as asking, and so does an attempt whose failure a program
hides, as those of telemetry are. Programs in other languages are not watched.
"""

import os
from pathlib import Path

from workbook_tools import grading

GUARD = Path(grading.__file__).with_name("no_network")
# What would keep libraries from asking, or give what they ask for.
_UNSET = (
    "DO_NOT_TRACK",
    "FEDLEARN_DATA",
    "FLWR_DISABLE_UPDATE_CHECK",
    "FLWR_TELEMETRY_ENABLED",
    "HF_DATASETS_OFFLINE",
    "HF_HUB_DISABLE_TELEMETRY",
    "HF_HUB_OFFLINE",
    "RAY_USAGE_STATS_ENABLED",
    "TRANSFORMERS_OFFLINE",
)


class NetworkLog:
    """What was asked for, in a file.

    Args:
        path: the file; there is none as long as nothing is asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def environment(self) -> dict[str, str]:
        """Return this process's environment, changed for a program that is to be watched."""
        path = os.pathsep.join(filter(None, [str(GUARD), os.environ.get("PYTHONPATH")]))
        kept = {name: value for name, value in os.environ.items() if name not in _UNSET}
        return kept | {"PYTHONPATH": path, "FEDLEARN_NETWORK_LOG": str(self.path)}

    def take(self) -> list[str]:
        """Return the hosts that were asked for since the last call."""
        asked = self.path.read_text().splitlines() if self.path.exists() else []
        self.path.unlink(missing_ok=True)
        return asked

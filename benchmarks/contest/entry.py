"""The result of one contestant, and what is computed from it."""

from dataclasses import dataclass

from contest.marks import Progress
from contest.measure import Measurement


@dataclass(frozen=True)
class Entry:
    """One contestant's result.

    Attributes:
        name: for the table.
        preparation: seconds of its one-off conversion of the data, which is not part of `run`.
        run: wall time and memory; None if it was not run.
        progress: how far it came.
        failure: None, or why it did not finish.
    """

    name: str
    preparation: float | None
    run: Measurement | None
    progress: Progress
    failure: str | None

    @property
    def seconds(self) -> float | None:
        """Wall time; None unless it finished."""
        return self.run.seconds if self.run and not self.failure else None

    @property
    def seconds_per_round(self) -> float | None:
        """Median wall time of rounds 2, 3, …"""
        return self.progress.seconds_per_round

    @property
    def start_up(self) -> float | None:
        """Seconds from the start of the process to the end of round 1, beyond what a round takes."""
        if self.run is None or self.seconds_per_round is None:
            return None
        return self.progress.round_ends[1] - self.run.begin - self.seconds_per_round

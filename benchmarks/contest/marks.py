"""How a contestant tells the benchmark what it has reached: one line of JSON per event, as it happens.

A file that grows line by line survives a contestant that crashes or is stopped, and it costs both
sides the same few microseconds a round.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START, ROUND, FINISH = "start", "round", "finish"


class Marks:
    """Writes events of one contestant; every event carries the time of the machine-wide monotonic clock."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, event: str, **facts: Any) -> None:
        """Append one event."""
        line = json.dumps({"event": event, "at": time.monotonic()} | facts)
        with self._path.open("a") as file:
            file.write(line + "\n")

    def after_each_round(self, evaluate: Callable[[Any], dict[str, float]]) -> Callable[[int, Any], Any]:
        """ClientTask an evaluation of the model into the strategy's `evaluate_fn`, which also marks the round's end."""
        from flwr.app import MetricRecord  # here, so that reading marks does not import Flower

        def evaluate_and_mark(server_round: int, arrays: Any) -> MetricRecord:
            metrics = evaluate(arrays)
            self.write(ROUND, round=server_round, **metrics)
            return MetricRecord(metrics)

        return evaluate_and_mark


@dataclass(frozen=True)
class Progress:
    """What the marks of one contestant say; times are those of `time.monotonic`.

    Attributes:
        round_ends: when the server had evaluated round 0 (the initial model), 1, 2, …
        test_accuracy: of the last round that ended; None before that, and without evaluation.
        validation_accuracy: the clients' average after the last round; None for an unfinished run.
    """

    round_ends: list[float]
    test_accuracy: float | None
    validation_accuracy: float | None

    @property
    def rounds(self) -> int:
        """Number of rounds that ended, not counting the evaluation of the initial model."""
        return max(len(self.round_ends) - 1, 0)

    @property
    def seconds_per_round(self) -> float | None:
        """Median time of a round from the second on: the first one still pays for what starts on demand."""
        later = [after - before for before, after in zip(self.round_ends[1:], self.round_ends[2:], strict=False)]
        return statistics.median(later) if later else None


def read_progress(path: Path) -> Progress:
    """Read the marks written so far; a missing file is a contestant that has not begun."""
    text = path.read_text() if path.exists() else ""
    events = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    rounds = [event for event in events if event["event"] == ROUND]
    finish = next((event for event in events if event["event"] == FINISH), {})
    accuracy = rounds[-1].get("accuracy") if len(rounds) > 1 else None
    return Progress([event["at"] for event in rounds], accuracy, finish.get("validation_accuracy"))

"""What the SuperLink says about runs and nodes, and what a run ended with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMPLETED = "finished:completed"
_REASONS = 3  # of failures, that a message quotes


@dataclass(frozen=True)
class ListedRun:
    """A run, as `flwr ls` lists it.

    Attributes:
        run_id: its number.
        status: "pending", "starting", "running", "finished:completed", "finished:failed" or "finished:stopped".
        details: why it failed, or "".
        seconds: how long it has run, >= 0.
        received: bytes that came to the SuperLink, >= 0.
        sent: bytes that left it, >= 0.
    """

    run_id: int
    status: str
    details: str
    seconds: float
    received: int
    sent: int

    @property
    def is_over(self) -> bool:
        """Whether it has finished in whatever way."""
        return self.status.startswith("finished")


@dataclass(frozen=True)
class ListedNode:
    """A node, as `flwr supernode list` lists it.

    Attributes:
        node_id: its number; it keeps it when it connects again.
        status: "registered", "online", "offline".
    """

    node_id: int
    status: str


@dataclass(frozen=True)
class RunStatus:
    """How a run ended.

    Attributes:
        run_id: its number.
        status: as in `ListedRun`.
        details: why it failed, or "".
        results: what the ServerApp wrote to `results-path`; None for nothing.
        failures: number of messages to clients that had no usable answer.
        log: what the ServerApp printed.
    """

    run_id: int
    status: str
    details: str
    results: Mapping[str, Any] | None
    failures: int
    log: Path

    @classmethod
    def of(cls, run: ListedRun, results: Path, log: Path) -> "RunStatus":
        """Put together what the SuperLink lists, what the ServerApp wrote, if anything, and what it printed."""
        written = results_in(results)
        return cls(run.run_id, run.status, run.details, written, failures_in(written), log)

    @property
    def problem(self) -> str | None:
        """The first thing that is wrong with the run, in one sentence; None if all is well."""
        if self.status != COMPLETED:
            details = f": {self.details}" if self.details else ""
            return f"the run is {self.status}{details}{self._said()}"
        if self.results is None:
            return "the ServerApp wrote no results"
        if self.results.get("status") != "completed":
            return f"the ServerApp's results are {self.results.get('status')!r}{self._said()}"
        if self.failures:
            reasons = [reason for entry in self.results.get("rounds", []) for reason in entry.get("errors", [])]
            return f"messages to clients that failed: {self.failures}; {'; '.join(reasons[:_REASONS])}"
        return None

    def _said(self) -> str:
        error = (self.results or {}).get("error")
        return f" ({error})" if error else ""


def runs_in(answer: Mapping[str, Any]) -> tuple[ListedRun, ...]:
    """Read the answer of `flwr ls`."""
    return tuple(
        ListedRun(
            run_id=int(run["run-id"]),
            status=run["status"],
            details="" if run["status-details"] == "N/A" else run["status-details"],
            seconds=float(run["elapsed"]),
            received=int(run["network-traffic"]["inbound-bytes"]),
            sent=int(run["network-traffic"]["outbound-bytes"]),
        )
        for run in answer["runs"]
    )


def nodes_in(answer: Mapping[str, Any]) -> tuple[ListedNode, ...]:
    """Read the answer of `flwr supernode list`."""
    return tuple(ListedNode(node_id=int(node["node-id"]), status=node["status"]) for node in answer["nodes"])


def results_in(path: Path) -> dict[str, Any] | None:
    """Read what a ServerApp wrote; None if it wrote nothing."""
    return json.loads(path.read_text()) if path.is_file() else None


def failures_in(results: Mapping[str, Any] | None) -> int:
    """Count the failures of all rounds and phases."""
    return sum(sum(entry.get("failures", {}).values()) for entry in (results or {}).get("rounds", []))

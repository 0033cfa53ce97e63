"""What happened in a federation: tables per message and per round, and the final model."""

from __future__ import annotations  # the tables' type is imported when the first table is made

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flwr.app import ArrayRecord, Context
from flwr.serverapp.strategy import Result

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.metrics import weighted_average

if TYPE_CHECKING:
    import pandas as pd

_ARRAYS = "final-arrays"
_PHASES = ("train", "evaluate", "server")
_FACTS = ("round", "phase", "client", "examples", "bytes_down", "bytes_up", "seconds", "error")


@dataclass(frozen=True)
class Exchange:
    """One message to one client, and its reply.

    Attributes:
        round: the server's round, from 1, which a message names in its config or as its group_id; 0 if it names none.
        phase: Flower's message type: "train", "evaluate" or "query".
        client: the client's partition id, from 0.
        examples: how many examples the client says its reply stands for; None if it does not say.
        metrics: the client's other scalar metrics.
        bytes_down, bytes_up: size of the arrays sent and returned, as Flower serializes them, and of byte strings in
            config records.
        seconds: time the client's code took.
        error: None, or "ErrorName: message" when the client's code raised.
    """

    round: int
    phase: str
    client: int
    examples: int | None
    metrics: dict[str, float]
    bytes_down: int
    bytes_up: int
    seconds: float
    error: str | None


@dataclass(frozen=True)
class History:
    """The record of one federation.

    Attributes:
        exchanges: every message with its reply, in the order of rounds, phases and clients.
        aggregated: what the strategy made of the metrics, by phase ("train", "evaluate", or "server" for the
            server's own evaluation) and round (0 is the initial model); empty without a strategy or `keep_result`.
        arrays: the final global model; None if no round gave one, or the ServerApp has neither a strategy nor called
            `keep_result`.
        seconds: wall time of the whole federation.
    """

    exchanges: list[Exchange] = field(default_factory=list)
    aggregated: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)
    arrays: ArrayRecord | None = None
    seconds: float = 0.0

    @property
    def clients(self) -> pd.DataFrame:
        """One row per message: round, phase, client, examples, bytes, seconds, error, and a column per metric.

        A metric that is called like one of the others, such as "error", is in `metric_error`.
        """
        import pandas as pd  # a third of a second

        rows = [
            {name: getattr(entry, name) for name in _FACTS}
            | {f"metric_{name}" if name in _FACTS else name: value for name, value in entry.metrics.items()}
            for entry in self.exchanges
        ]
        return pd.DataFrame(rows, columns=None if rows else list(_FACTS))

    @property
    def rounds(self) -> pd.DataFrame:
        """One row per round, from 0 where the server evaluated the initial model.

        Columns: `clients` that were asked to train, `failures`, `bytes_down`, `bytes_up`,
        `seconds` (sum of the clients' own), `train_<metric>` and `evaluate_<metric>` (as the strategy
        aggregated them, or else the clients' average, weighted by examples), `server_<metric>`.
        """
        import pandas as pd

        by_round: dict[int, list[Exchange]] = {number: [] for number in self.server_metrics}
        for entry in self.exchanges:
            by_round.setdefault(entry.round, []).append(entry)
        rows = [self._round(number, entries) for number, entries in sorted(by_round.items())]
        return pd.DataFrame(rows).set_index("round") if rows else pd.DataFrame()

    @property
    def server_metrics(self) -> dict[int, dict[str, float]]:
        """What the server's own evaluation gave, by round; 0 is the initial model."""
        return self.aggregated.get("server", {})

    def trainings(self) -> list[Exchange]:
        """Return the messages of training, one for each client that was asked in a round, in the order of rounds.

        Raises:
            InputError: several to a client in a round, as with secure aggregation: whoever counts or times rounds by
                single messages would be wrong.
        """
        found = sorted((entry for entry in self.exchanges if entry.phase == "train"), key=lambda entry: entry.round)
        for (server_round, client), count in Counter((entry.round, entry.client) for entry in found).items():
            if count > 1:
                raise InputError(
                    f"history must have one message of training to a client in a round, got {count} to client {client} "
                    f"in round {server_round}, as with secure aggregation"
                )
        return found

    @property
    def failures(self) -> pd.DataFrame:
        """The rows of `clients` whose client raised an error."""
        table = self.clients
        return table[table["error"].notna()]

    @property
    def bytes_down(self) -> int:
        """Bytes of arrays that the server sent to clients, in all rounds."""
        return sum(entry.bytes_down for entry in self.exchanges)

    @property
    def bytes_up(self) -> int:
        """Bytes of arrays that clients sent to the server, in all rounds."""
        return sum(entry.bytes_up for entry in self.exchanges)

    def _round(self, number: int, entries: list[Exchange]) -> dict[str, float]:
        row = {
            "round": number,
            "clients": len({entry.client for entry in entries if entry.phase == "train"}),
            "failures": sum(entry.error is not None for entry in entries),
            "bytes_down": sum(entry.bytes_down for entry in entries),
            "bytes_up": sum(entry.bytes_up for entry in entries),
            "seconds": sum(entry.seconds for entry in entries),
        }
        for phase in _PHASES:
            averages = average_metrics([entry for entry in entries if entry.phase == phase])
            averages |= self.aggregated.get(phase, {}).get(number, {})
            row |= {f"{phase}_{name}": value for name, value in averages.items()}
        return row


def average_metrics(entries: list[Exchange]) -> dict[str, float]:
    """Average the metrics of the clients that answered, weighted by examples; empty if there is nothing to average."""
    answered = [entry for entry in entries if entry.error is None and entry.examples]
    shared = set.intersection(*(set(entry.metrics) for entry in answered)) if answered else set()
    reports = [{name: entry.metrics[name] for name in sorted(shared)} for entry in answered]
    return weighted_average(reports, [entry.examples or 0 for entry in answered]) if shared else {}


def keep_result(result: Result, context: Context) -> None:
    """Put what `strategy.start` returned into the ServerApp's context, where `simulate` finds it.

    Flower discards what a ServerApp's main function returns; its context is what outlives it.
    """
    if result.arrays:  # there are none if no client ever answered
        context.state[_ARRAYS] = result.arrays
    kept = (result.train_metrics_clientapp, result.evaluate_metrics_clientapp, result.evaluate_metrics_serverapp)
    for phase, by_round in zip(_PHASES, kept, strict=True):
        for server_round, metrics in by_round.items():
            context.state[f"{phase}-metrics-{server_round}"] = metrics


def read_result(context: Context) -> tuple[ArrayRecord | None, dict[str, dict[int, dict[str, float]]]]:
    """Return what `keep_result` stored: the final arrays, and aggregated scalar metrics by phase and round."""
    aggregated: dict[str, dict[int, dict[str, float]]] = {phase: {} for phase in _PHASES}
    for key, record in context.state.metric_records.items():
        phase, separator, server_round = key.partition("-metrics-")
        if separator and phase in aggregated:
            scalars = {name: value for name, value in record.items() if not isinstance(value, list)}
            aggregated[phase][int(server_round)] = scalars
    return context.state.array_records.get(_ARRAYS), aggregated

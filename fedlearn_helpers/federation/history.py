"""What happened in a federation: tables per message and per round, and the final model."""

from dataclasses import dataclass, field

import pandas as pd
from flwr.app import ArrayRecord, Context
from flwr.serverapp.strategy import Result

from fedlearn_helpers.metrics import weighted_average

_ARRAYS, _SERVER_METRICS = "final-arrays", "server-metrics"
_FACTS = ("round", "phase", "client", "examples", "bytes_down", "bytes_up", "seconds", "error")


@dataclass(frozen=True)
class Exchange:
    """One message to one client, and its reply.

    Attributes:
        round: the server's round, from 1; 0 for a message that names none.
        phase: Flower's message type: "train", "evaluate" or "query".
        client: the client's partition id, from 0.
        examples: how many examples the client says its reply stands for; None if it does not say.
        metrics: the client's other scalar metrics.
        bytes_down, bytes_up: size of the arrays sent and returned, as Flower serializes them.
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
        server_metrics: what the server's own evaluation gave, by round (0 is the initial model).
        arrays: the final global model; None if no round gave one, or the ServerApp did not call `keep_result`.
        seconds: wall time of the whole federation.
    """

    exchanges: list[Exchange] = field(default_factory=list)
    server_metrics: dict[int, dict[str, float]] = field(default_factory=dict)
    arrays: ArrayRecord | None = None
    seconds: float = 0.0

    @property
    def clients(self) -> pd.DataFrame:
        """One row per message: round, phase, client, examples, bytes, seconds, error, and a column per metric.

        A metric that is called like one of the others, such as "error", is in `metric_error`.
        """
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
        `seconds` (sum of the clients' own), `train_<metric>` and `evaluate_<metric>` (the clients'
        average, weighted by examples), `server_<metric>`.
        """
        numbers = sorted({entry.round for entry in self.exchanges} | set(self.server_metrics))
        return (
            pd.DataFrame([self._round(number) for number in numbers]).set_index("round") if numbers else pd.DataFrame()
        )

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

    def _round(self, number: int) -> dict[str, float]:
        entries = [entry for entry in self.exchanges if entry.round == number]
        row = {
            "round": number,
            "clients": sum(entry.phase == "train" for entry in entries),
            "failures": sum(entry.error is not None for entry in entries),
            "bytes_down": sum(entry.bytes_down for entry in entries),
            "bytes_up": sum(entry.bytes_up for entry in entries),
            "seconds": sum(entry.seconds for entry in entries),
        }
        for phase in ("train", "evaluate"):
            averages = average_metrics([entry for entry in entries if entry.phase == phase])
            row |= {f"{phase}_{name}": value for name, value in averages.items()}
        return row | {f"server_{name}": value for name, value in self.server_metrics.get(number, {}).items()}


def average_metrics(entries: list[Exchange]) -> dict[str, float]:
    """Average the metrics of the clients that answered, weighted by examples; empty if there is nothing to average."""
    answered = [entry for entry in entries if entry.error is None and entry.examples]
    shared = set.intersection(*(set(entry.metrics) for entry in answered)) if answered else set()
    reports = [{name: entry.metrics[name] for name in sorted(shared)} for entry in answered]
    return weighted_average(reports, [entry.examples for entry in answered]) if shared else {}


def keep_result(result: Result, context: Context) -> None:
    """Put what `strategy.start` returned into the ServerApp's context, where `simulate` finds it.

    Flower discards what a ServerApp's main function returns; its context is what outlives it.
    """
    if result.arrays:  # there are none if no client ever answered
        context.state[_ARRAYS] = result.arrays
    for server_round, metrics in result.evaluate_metrics_serverapp.items():
        context.state[f"{_SERVER_METRICS}-{server_round}"] = metrics


def read_result(context: Context) -> tuple[ArrayRecord | None, dict[int, dict[str, float]]]:
    """Return what `keep_result` stored: the final arrays, and the server's metrics by round."""
    prefix = f"{_SERVER_METRICS}-"
    metrics = {
        int(key.removeprefix(prefix)): {name: value for name, value in record.items() if not isinstance(value, list)}
        for key, record in context.state.metric_records.items()
        if key.startswith(prefix)
    }
    return context.state.array_records.get(_ARRAYS), metrics

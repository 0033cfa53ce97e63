"""How the messages of training travel: what a client mod and a wrapper around the server change on the way."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.clientapp.typing import Mod
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy


@runtime_checkable
class Transport(Protocol):
    """Both ends of a way between server and clients, for `federate(…, transport=…)`; an algorithm knows nothing of it.

    Both are made once a run, and told what all parties know before the first round: the first arrays of the server
    (clients make them of the same seed, so they need not be sent), and the seed of the run.
    """

    def around_server(self, strategy: Strategy, first: ArrayRecord, seed: int) -> Strategy:
        """Return a strategy that delegates to this one, and changes what is sent and what has come.

        Raises:
            InputError: such arrays cannot be sent in this way.
        """

    def around_client(self, first: ArrayRecord, seed: int) -> Mod:
        """Return the mod of the clients' training, around all others."""


class AroundStrategy(Strategy):
    """A strategy around another one, which changes how trainings travel; evaluations are left as they are.

    Args:
        strategy: does the work.
    """

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As the strategy."""
        return self._strategy.configure_evaluate(server_round, arrays, config, grid)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """As the strategy."""
        return self._strategy.aggregate_evaluate(server_round, replies)

    def summary(self) -> None:
        """As the strategy."""
        self._strategy.summary()

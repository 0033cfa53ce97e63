"""How the messages of training travel: what a client mod and a wrapper around the server change on the way."""

from typing import Protocol, runtime_checkable

from flwr.app import ArrayRecord
from flwr.clientapp.typing import Mod
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

"""Compression of a federation's messages, both ways: what `federate(…, transport=…)` takes."""

from dataclasses import dataclass

from flwr.app import ArrayRecord
from flwr.clientapp.typing import Mod
from flwr.serverapp.strategy import Strategy

from fedlearn_helpers.communication.client import compression_mod
from fedlearn_helpers.communication.codec import Codec
from fedlearn_helpers.communication.lossless import WHOLE
from fedlearn_helpers.communication.server import CompressedStrategy
from fedlearn_helpers.communication.wire import arrays_of, floats_in
from fedlearn_helpers.errors import InputError


@dataclass(frozen=True)
class Compression:
    """How the messages of training are compressed. To compress one way alone never saves more than half.

    All floats are compressed, BatchNorm's running variances, too, and few bits may make one negative: GroupNorm has
    none. Evaluations are left as they are. Both ends must add the same float32 numbers: low rank multiplies matrices,
    whose last bits may differ between machines, so copies may then, too.

    Attributes:
        up: replies of clients; as they are by default.
        down: messages of the server; as they are by default. What these lack is in the next ones, so a codec will not
            do whose errors feedback makes grow, such as a scaled `RandomK`.

    Raises:
        InputError: no codec, or one that will not do.
    """

    up: Codec = WHOLE
    down: Codec = WHOLE

    def __post_init__(self) -> None:
        for name in ("up", "down"):
            if not isinstance(codec := getattr(self, name), Codec):
                raise InputError(f"{name} must be a codec, such as Quantization(8), got {codec!r}")
        if self.up.feedback and not self.up.contracts:
            raise InputError(f"up must be a codec whose errors do not grow by feedback, got {self.up!r}")
        if not self.down.contracts:
            raise InputError(
                f"down must be a codec whose errors do not grow by feedback, which the way down always has, "
                f"got {self.down!r}"
            )

    def around_server(self, strategy: Strategy, first: ArrayRecord, seed: int) -> Strategy:
        """Return the strategy with the server's half of this compression around it; see `Transport`."""
        arrays = arrays_of(first)
        for codec in (self.up, self.down):
            codec.check([arrays[name] for name in floats_in(arrays)])
        return CompressedStrategy(strategy, self.up, self.down, first, seed)

    def around_client(self, first: ArrayRecord, seed: int) -> Mod:
        """Return the clients' half; see `Transport`."""
        return compression_mod(self.up, self.down, first, seed)

"""Secure aggregation of a federation's updates: what `federate(…, transport=…)` takes."""

from dataclasses import dataclass, field

from flwr.app import ArrayRecord
from flwr.clientapp.typing import Mod
from flwr.serverapp.strategy import Strategy

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.privacy.secure_aggregation.client import secure_mod
from fedlearn_helpers.privacy.secure_aggregation.draws import RandomBytes, system_bytes, teaching_bytes
from fedlearn_helpers.privacy.secure_aggregation.fixed_point import FixedPoint, check_most
from fedlearn_helpers.privacy.secure_aggregation.requirements import check_needs_only_the_mean
from fedlearn_helpers.privacy.secure_aggregation.strategy import SecureStrategy
from fedlearn_helpers.seeds import check_seed


@dataclass(frozen=True)
class SecureAggregation:
    """A way for updates to reach the server as their sum alone.

    The server learns the weighted mean of the models and the sum of the numbers of examples, and who answered. It does
    not learn one client's update, number of examples, or metrics of training, such as the loss: those are not sent at
    all. It is taken to be curious and to do as agreed. Together with fewer clients than `threshold` it learns no more
    than the sum of the others. Evaluations are left as they are. A client's error reaches the server in words: one
    about the bound names a number.

    A client sends (w_k - w) n_k / most_examples and n_k. So the mean is off by at most
    `step / 2 * num_clients * most_examples / sum(n_k)`, with `step = bound / (2**(bits-1) - 1)`.

    Clients may fail in any stage. If fewer than `threshold` answer, the round changes nothing, with a warning; its
    metrics `asked`, `answered` and `needed` are in the history of all rounds. A round is four messages to each client.

    Attributes:
        threshold: how many clients must answer in a round: at least 2, and more than half of those that are asked.
        bound: of every number of an update, times n_k / most_examples; what is beyond is refused, never clipped.
        most_examples: the largest number of training examples of any client; a client with more is refused.
        bits: for a number; `num_clients * 2**bits` must be <= 2**32.
        teaching_seed: None takes secrets from the operating system. A seed makes them the same in every run, so that a
            figure repeats: **not secure**, since who knows the seed knows all masks.

    Raises:
        InputError: an argument out of range.
    """

    threshold: int
    bound: float
    most_examples: int = field(kw_only=True)
    bits: int = field(default=20, kw_only=True)
    teaching_seed: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_whole_number("threshold", self.threshold, 2)
        check_most("most_examples", self.most_examples, self.threshold)
        FixedPoint(self.bound, self.bits).check_clients(self.threshold)
        if self.teaching_seed is not None:
            check_seed(self.teaching_seed, "teaching_seed")

    def around_server(self, strategy: Strategy, first: ArrayRecord, seed: int) -> Strategy:
        """Return the strategy with the server's half of secure aggregation around it; see `Transport`.

        Raises:
            InputError: the strategy needs more than the weighted mean, or the model has numbers that are no floats.
        """
        check_needs_only_the_mean(strategy)
        for name, array in first.items():
            if not array.dtype.startswith("float"):
                raise InputError(
                    f"model must have floats alone for SecureAggregation, got {array.dtype} in {name!r}; "
                    "use GroupNorm in place of BatchNorm, which counts"
                )
        return SecureStrategy(strategy, self.threshold, FixedPoint(self.bound, self.bits), self.most_examples)

    def around_client(self, first: ArrayRecord, seed: int) -> Mod:
        """Return the clients' half; see `Transport`."""
        fixed_point = FixedPoint(self.bound, self.bits)
        return secure_mod(self.threshold, fixed_point, self.most_examples, self._random_of)

    def _random_of(self, server_round: int, client: int, stage: str) -> RandomBytes:
        if self.teaching_seed is None:
            return system_bytes
        return teaching_bytes(self.teaching_seed, server_round, client, stage)

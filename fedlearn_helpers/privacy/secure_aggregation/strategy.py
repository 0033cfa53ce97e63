"""The server's half: a strategy that sees the sum of the clients' updates, and none of them.

before training:  keys, then shares, by two more exchanges with the clients of the round
training:         each client answers with its masked vector, of (w_k - w) n_k / n_max and n_k
after it:         one more exchange reveals what removes the masks' sum;
                  w + n_max sum_k (n_k / n_max) (w_k - w) / sum_k n_k = sum_k (n_k / n) w_k
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from fedlearn_helpers.algorithms.transport import AroundStrategy
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.privacy.secure_aggregation import stages
from fedlearn_helpers.privacy.secure_aggregation.errors import TooFewMembers, check_threshold
from fedlearn_helpers.privacy.secure_aggregation.fixed_point import FixedPoint, check_most
from fedlearn_helpers.privacy.secure_aggregation.member import ENCRYPTED_BYTES, PublicKeys, Revealed
from fedlearn_helpers.privacy.secure_aggregation.server import Server
from fedlearn_helpers.privacy.secure_aggregation.wire import SHARE_BYTES, pack, share_of, unpack
from fedlearn_helpers.simulation.replies import NEEDED_METRICS, NEEDED_RECORDS, NUM_EXAMPLES, nobody_has_examples

ASKED, ANSWERED, NEEDED = "asked", "answered", "needed"  # in a round's metrics: clients


@dataclass
class _Round:
    """A round under way.

    Attributes:
        server: its secure sum.
        grid: by which its clients are reached.
        number: from 1.
        asked: how many clients there are in it.
        name, sent: of the record with the model, and the model.
        lost: why it ended before training; None while it goes on.
    """

    server: Server
    grid: Grid
    number: int
    asked: int
    name: str
    sent: ArrayRecord
    lost: TooFewMembers | None = None


class SecureStrategy(AroundStrategy):
    """A strategy that gets, in place of the clients' replies, one reply that is their weighted mean.

    A round in which too few clients answer changes nothing: it warns, and its metrics say how many answered.

    Args:
        strategy: does the work; it must need nothing but that mean, and send the same model to all clients of a round.
        threshold: how many clients must answer in every stage.
        fixed_point, most_examples: as clients have them.
    """

    def __init__(self, strategy: Strategy, threshold: int, fixed_point: FixedPoint, most_examples: int) -> None:
        super().__init__(strategy)
        self._threshold = threshold
        self._fixed_point, self._most_examples = fixed_point, most_examples
        self._round: _Round | None = None

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Let the strategy write its messages, and let its clients share secrets before they are sent.

        Raises:
            InputError: more clients than `bits`, `most_examples` or `threshold` are meant for, or messages that are not
                the same model for each of them.
        """
        self._round = None
        in_order = list(self._strategy.configure_train(server_round, arrays, config, grid))
        if not in_order:
            return []
        name, sent = _model_of(in_order)
        messages = {message.metadata.dst_node_id: message for message in in_order}
        check_threshold(self._threshold, len(messages))
        self._fixed_point.check_clients(len(messages))
        check_most("most_examples", self._most_examples, len(messages))
        self._round = _Round(Server(self._threshold), grid, server_round, len(messages), name, sent)
        try:
            carried = self._share_secrets(self._round, list(messages))
        except TooFewMembers as error:
            self._round.lost = error
            return []
        for node, shares in carried.items():
            messages[node].content = self._content(messages[node].content, server_round, shares)
        return [messages[node] for node in carried]

    def _share_secrets(self, current: _Round, nodes: list[int]) -> dict[int, dict[int, bytes]]:
        """Return the encrypted shares that each client of the training gets."""
        advertised = self._ask(current, stages.ADVERTISE, dict.fromkeys(nodes, b""))
        keys = current.server.collect_keys(
            {node: PublicKeys.from_bytes(values[stages.DATA]) for node, values in advertised.items()}
        )
        table = pack({node: of.to_bytes() for node, of in keys.items()})
        shared = self._ask(current, stages.SHARE, dict.fromkeys(keys, table))
        return current.server.collect_shares(
            {node: unpack(values[stages.DATA], ENCRYPTED_BYTES) for node, values in shared.items()}
        )

    def _ask(self, current: _Round, stage: str, data: Mapping[int, bytes]) -> dict[int, dict[str, Any]]:
        """Return what the clients answer in a stage, by client; who fails is not in it."""
        messages = [
            current.grid.create_message(
                RecordDict({stages.CONFIG: _request(stage, current.number, of_client)}),
                "train",
                node,
                group_id=str(current.number),
            )
            for node, of_client in data.items()
        ]
        return {
            reply.metadata.src_node_id: dict(reply.content.config_records[stages.CONFIG])
            for reply in current.grid.send_and_receive(messages)
            if not reply.has_error()
        }

    @staticmethod
    def _content(content: RecordDict, server_round: int, shares: Mapping[int, bytes]) -> RecordDict:
        """Return a new content, since strategies put the same into all messages: with shares, for another reply."""
        request = _request(stages.TRAIN, server_round, pack(shares))
        request[NEEDED_RECORDS] = [stages.MASKED]
        told = {
            name: ConfigRecord({key: record[key] for key in record if key not in (NEEDED_METRICS, NEEDED_RECORDS)})
            for name, record in content.config_records.items()
        }
        return RecordDict({**content, **told, stages.CONFIG: request})

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Unmask the sum, and let the strategy go on with the mean as if one client had sent it.

        Raises:
            InputError: no client has examples.
            TamperedShare: shares do not fit together.
        """
        answered = [reply for reply in replies if not reply.has_error()]
        current, self._round = self._round, None
        if current is None:
            return None, None
        counts = {ASKED: current.asked, ANSWERED: len(answered), NEEDED: self._threshold}
        try:
            if current.lost is not None:
                raise current.lost
            total = self._unmasked(current, answered)
        except TooFewMembers as error:
            warnings.warn(f"round {server_round}: {error}; the model stays as it was", stacklevel=2)
            return None, MetricRecord({**counts, ANSWERED: error.answered})
        if sentence := nobody_has_examples([int(total[-1])] * len(answered)):
            raise InputError(sentence)
        answered[0].content = self._mean(current, total)
        arrays, metrics = self._strategy.aggregate_train(server_round, answered[:1])
        return arrays, MetricRecord({**(metrics or {}), **counts})

    def _unmasked(self, current: _Round, answered: list[Message]) -> np.ndarray:
        masked = {
            reply.metadata.src_node_id: reply.content.array_records[stages.MASKED][stages.MASKED].numpy()
            for reply in answered
        }
        survivors = current.server.collect_masked(masked)
        data = pack(dict.fromkeys(survivors, b""))
        revealed = self._ask(current, stages.REVEAL, dict.fromkeys(survivors, data))
        return current.server.unmask({node: revealed_in(values) for node, values in revealed.items()})

    def _mean(self, current: _Round, total: np.ndarray) -> RecordDict:
        """Return a reply with the weighted mean of the models, for all examples."""
        examples = int(total[-1])
        update = self._fixed_point.decode(total[:-1]) * self._most_examples / examples
        model, start = {}, 0
        for key, array in current.sent.items():
            w = array.numpy()
            part = update[start : start + w.size].reshape(w.shape)
            model[key], start = Array(np.asarray(w + part, w.dtype)), start + w.size
        metrics = MetricRecord({NUM_EXAMPLES: examples})
        return RecordDict({current.name: ArrayRecord(model), "metrics": metrics})


def _model_of(messages: list[Message]) -> tuple[str, ArrayRecord]:
    """Return the model that all messages of a round bring, and its record's name.

    Raises:
        InputError: there is more than one, or a client gets two messages.
    """
    records = dict(messages[0].content.array_records)
    if len(records) != 1 or any(dict(message.content.array_records) != records for message in messages[1:]):
        raise InputError(
            f"a strategy must send one model, the same to all clients of a round, for SecureAggregation, "
            f"got {len(records)} records of arrays, or others for other clients"
        )
    if len({message.metadata.dst_node_id for message in messages}) < len(messages):
        raise InputError("a strategy must send one message to each client of a round for SecureAggregation")
    ((name, sent),) = records.items()
    return name, sent


def _request(stage: str, server_round: int, data: bytes) -> ConfigRecord:
    return ConfigRecord({stages.STAGE: stage, "server-round": server_round, stages.DATA: data})


def revealed_in(values: Mapping[str, Any]) -> Revealed:
    """Return the shares in a member's answer to the last stage, as `answer_stage` wrote them."""
    seeds, keys = (
        {owner: share_of(data) for owner, data in unpack(values[name], SHARE_BYTES).items()}
        for name in (stages.SEEDS, stages.KEYS)
    )
    return Revealed(seeds, keys)

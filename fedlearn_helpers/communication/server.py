"""The server's half: a strategy around any other, which encodes what is sent and decodes what has come.

The way down: v <- v + C(w - v), where w is what the strategy holds and v the copy of it that clients have. So what one
message lacks is in the next one. Clients train from v and send updates, which the server adds to w.

A client that missed a round has an old copy, and so may one that failed: the server knows of which round the copy of
each client is from its last good reply, and sends all of v to those whose copy is not the last one.
"""

from collections.abc import Iterable

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from fedlearn_helpers.algorithms.transport import AroundStrategy
from fedlearn_helpers.communication.codec import Codec, Memory
from fedlearn_helpers.communication.lossless import WHOLE
from fedlearn_helpers.communication.reference import base_of
from fedlearn_helpers.communication.wire import (
    Arrays,
    arrays_of,
    decode_arrays,
    description,
    encode_arrays,
    floats_in,
    join,
    record_of,
    separate,
)
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.simulation.replies import FaultyReply


class CompressedStrategy(AroundStrategy):
    """A strategy whose training messages are compressed; evaluations are left as they are.

    Args:
        strategy: does the work; it must send the same arrays to all clients of a round.
        up: decodes replies.
        down: encodes messages.
        first: what clients hold before the first round; nothing but its changes is then sent.
        seed: of the run.
    """

    def __init__(self, strategy: Strategy, up: Codec, down: Codec, first: ArrayRecord, seed: int) -> None:
        super().__init__(strategy)
        self._up, self._down, self._seed = up, down, seed
        self._copies: dict[str, Arrays] = {"arrays": arrays_of(first)}  # v
        self._version = 0
        self._version_of: dict[int, int] = {}  # by client; who is not in it has the first
        self._memories: dict[str, Memory] = {}
        self._models: dict[str, Arrays] = {}  # w, in this round

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Let the strategy write its messages, and encode them.

        Raises:
            InputError: it sends other arrays to other clients.
        """
        messages = list(self._strategy.configure_train(server_round, arrays, config, grid))
        if not messages:
            return messages
        records = dict(messages[0].content.array_records)
        if any(dict(message.content.array_records) != records for message in messages[1:]):
            raise InputError("a strategy must send the same arrays to all clients of a round to be compressed")
        self._models = {name: arrays_of(record) for name, record in records.items()}
        before, self._version = self._version, self._version + 1
        changes = {name: self._change(name, model, before, server_round) for name, model in self._models.items()}
        current = [self._version_of.get(message.metadata.dst_node_id, 0) == before for message in messages]
        wholes = {} if all(current) else {name: self._whole(name) for name in self._models}
        for message, is_current in zip(messages, current, strict=True):
            encoded = changes if is_current else wholes
            content = dict(message.content)  # a new one: strategies put the same into all messages
            message.content = RecordDict({name: encoded.get(name, record) for name, record in content.items()})
        return messages

    def _change(self, name: str, model: Arrays, before: int, server_round: int) -> ArrayRecord:
        """Bring a copy closer to its model; return the message by which clients do the same to theirs."""
        copy = self._copies.get(name)
        if self._down.lossless or copy is None:
            self._copies[name] = model
            return self._whole(name)
        head = {"version": self._version, "from": before}
        if all(np.array_equal(model[key], copy[key]) for key in model):
            return join(head, b"")
        draws = derive_seed(self._seed, "down", server_round, name)
        memory = self._memories.setdefault(name, {})
        data, self._copies[name], _ = encode_arrays(self._down, model, copy, draws, memory)
        return join(head, data)

    def _whole(self, name: str) -> ArrayRecord:
        copy = self._copies[name]
        codec = self._down if self._down.lossless else WHOLE
        data, _, _ = encode_arrays(codec, copy, copy, 0, {})
        return join({"version": self._version, "all": description(copy)}, data)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Decode the replies, and let the strategy combine them.

        Raises:
            FaultyReply: one cannot be decoded.
        """
        replies = list(replies)
        for reply in replies:
            if reply.has_error():
                continue
            client = reply.metadata.src_node_id
            try:
                for name, record in dict(reply.content.array_records).items():
                    reply.content[name] = record_of(self._decode(record))
            except (ValueError, KeyError, TypeError) as error:
                raise FaultyReply(f"the reply of node {client} cannot be decoded: {error}") from error
            self._version_of[client] = self._version
        return self._strategy.aggregate_train(server_round, replies)

    def _decode(self, record: ArrayRecord) -> Arrays:
        """Return what a client would have sent, had it received w in place of v."""
        head, data = separate(record)
        base = base_of(head, self._models)
        arrays = decode_arrays(self._up, data, base)
        if self._up.lossless and not self._down.lossless and "of" in head:  # trained from v, and sent whole
            copy = base_of(head, self._copies)
            arrays |= {name: arrays[name] + (base[name] - copy[name]) for name in floats_in(base)}
        return arrays

"""The client's half: decodes what comes, and sends the encoded update in place of the trained model."""

from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp.typing import ClientAppCallable, Mod

from fedlearn_helpers.communication.codec import Codec
from fedlearn_helpers.communication.lossless import WHOLE
from fedlearn_helpers.communication.reference import base_of, reference_of
from fedlearn_helpers.communication.wire import (
    Arrays,
    arrays_of,
    decode_arrays,
    encode_arrays,
    join,
    record_of,
    separate,
    zeros,
)
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.simulation.position import client_of, training_round
from fedlearn_helpers.simulation.replies import FaultyReply, fault_of

VERSION = "compression-version"  # in a client's state: of which round its copies are
_COPY = "compression-copy"  # in a client's state: what the server sent last, by record
_REST = "compression-rest"  # in a client's state: what its messages lacked so far
_MEMORY = "compression-memory"  # in a client's state: the codec's own


def compression_mod(up: Codec, down: Codec, first: ArrayRecord, seed: int) -> Mod:
    """Return a mod for a client's training, around all others.

    The client's state is changed only after its training has succeeded.

    Args:
        up: encodes replies.
        down: decodes messages.
        first: what the server holds before the first round.
        seed: of the run.
    """
    known = {"arrays": arrays_of(first)}

    def compress(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        content, state = message.content, context.state
        copies, version = _copies(state) or known, _version(state)
        received: dict[str, Arrays] = {}
        newest = version
        for name in list(content.array_records):
            head, body = separate(content.array_records[name])
            newest = head["version"]
            if "all" in head:
                received[name] = decode_arrays(down if down.lossless else WHOLE, body, zeros(head["all"]))
            else:
                if head["from"] != version or name not in copies:
                    raise InputError(
                        f"a compressed message must be of the version that the client has, {version}, "
                        f"got a change of version {head['from']}"
                    )
                received[name] = decode_arrays(down, body, copies[name]) if body else copies[name]
            content[name] = record_of(received[name])
        asked = RecordDict({name: content[name] for name in content})  # what the client is asked, before it trains
        reply = call_next(message, context)
        if reply.has_error():
            return reply
        if fault := fault_of("train", asked, reply.content):
            raise FaultyReply(f"the reply of client {client_of(context)} cannot be used: {fault}")
        place = training_round(asked), client_of(context)
        for name in list(reply.content.array_records):
            arrays = arrays_of(reply.content.array_records[name])
            head = reference_of(name, arrays, received)
            where = f"{name}/{'/'.join(head.get('of', []))}"  # an error belongs to the model that it is of
            rest = _kept(state, f"{_REST}/{where}") if up.feedback else None
            memory = _kept(state, f"{_MEMORY}/{where}")
            draws = derive_seed(seed, "up", *place, name)
            data, _, lacking = encode_arrays(up, arrays, base_of(head, received), draws, memory, rest)
            reply.content[name] = join(head, data)
            if up.feedback:
                state[f"{_REST}/{where}"] = record_of(lacking)
            if memory:
                state[f"{_MEMORY}/{where}"] = record_of(memory)
        if not down.lossless:
            state[VERSION] = ConfigRecord({"of": newest})
            for name, arrays in received.items():
                state[f"{_COPY}/{name}"] = record_of(arrays)
        return reply

    return compress


def _copies(state: RecordDict) -> dict[str, Arrays]:
    return {
        name.removeprefix(f"{_COPY}/"): arrays_of(record)
        for name, record in state.array_records.items()
        if name.startswith(f"{_COPY}/")
    }


def _version(state: RecordDict) -> int:
    version: Any = state.config_records[VERSION]["of"] if VERSION in state else 0  # 0: the first model
    return int(version)


def _kept(state: RecordDict, name: str) -> Arrays:
    return arrays_of(state.array_records[name]) if name in state else {}

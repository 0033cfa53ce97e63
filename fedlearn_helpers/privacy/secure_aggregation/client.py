"""The client's half: masks the update, and answers the stages around it without training."""

from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp.typing import ClientAppCallable, Mod

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.privacy.secure_aggregation import stages
from fedlearn_helpers.privacy.secure_aggregation.draws import RandomBytes
from fedlearn_helpers.privacy.secure_aggregation.fixed_point import FixedPoint, encode_counts
from fedlearn_helpers.privacy.secure_aggregation.masks import KEY_BYTES
from fedlearn_helpers.privacy.secure_aggregation.member import ENCRYPTED_BYTES, Member, PublicKeys
from fedlearn_helpers.privacy.secure_aggregation.wire import pack, share_bytes, unpack
from fedlearn_helpers.simulation.position import client_of, training_round
from fedlearn_helpers.simulation.replies import NEEDED_METRICS, NEEDED_RECORDS, NUM_EXAMPLES, FaultyReply, fault_of

RandomOf = Callable[[int, int, str], RandomBytes]
"""Called with the round, the client and the stage, returns where the client's secrets come from."""


def secure_mod(threshold: int, fixed_point: FixedPoint, most_examples: int, random_of: RandomOf) -> Mod:
    """Return a mod for a client's training, around all others.

    A client's secrets are in its state from the first stage of a round to the last. Where it fails, or the round is
    lost, they stay until the next round in which it is asked.

    Args:
        threshold: how many clients must answer in every stage.
        fixed_point: how the update is written, after it has been multiplied by n_k / most_examples.
        most_examples: the largest n_k.
        random_of: where secrets come from.
    """

    def take_part(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        content, state = message.content, context.state
        if stages.CONFIG not in content:
            raise InputError("a message must be of a secure aggregation: the other side has none")
        request: Any = content.config_records[stages.CONFIG]
        stage, data = request[stages.STAGE], request[stages.DATA]
        random = random_of(training_round(content), client_of(context), stage)
        if stage == stages.ADVERTISE:
            member = Member(context.node_id, threshold, random)
        elif stages.CONFIG in state:
            kept: Any = state.config_records[stages.CONFIG]
            member = Member.from_state(kept, random)
        else:
            raise InputError(f"client {client_of(context)} must have advertised keys in this round before {stage!r}")
        if stage == stages.TRAIN:
            encrypted = unpack(data, ENCRYPTED_BYTES)
            member.receive(encrypted)  # before the training: shares that were changed end it
            del content[stages.CONFIG]
            ((name, received),) = content.array_records.items()
            reply = call_next(message, context)
            if reply.has_error():
                return reply
            _check_reply(name, received, reply.content, client_of(context))
            vector = _vector(received, reply.content, len(encrypted) + 1, fixed_point, most_examples)
            reply.content = RecordDict({stages.MASKED: ArrayRecord({stages.MASKED: Array(member.mask(vector))})})
        else:
            answer: Any = answer_stage(member, stage, data)
            reply = Message(RecordDict({stages.CONFIG: ConfigRecord(answer)}), reply_to=message)
        if stage == stages.REVEAL:
            del state[stages.CONFIG]
        else:
            state[stages.CONFIG] = ConfigRecord(member.state())
        return reply

    return take_part


def answer_stage(member: Member, stage: str, data: bytes) -> dict[str, bytes]:
    """Return what a member says in a stage without training."""
    if stage == stages.ADVERTISE:
        return {stages.DATA: member.advertise().to_bytes()}
    if stage == stages.SHARE:
        keys = {number: PublicKeys.from_bytes(pair) for number, pair in unpack(data, 2 * KEY_BYTES).items()}
        return {stages.DATA: pack(member.share(keys))}
    revealed = member.reveal(list(unpack(data, 0)))
    return {
        name: pack({owner: share_bytes(share) for owner, share in shares.items()})
        for name, shares in ((stages.SEEDS, revealed.seeds), (stages.KEYS, revealed.keys))
    }


def _check_reply(name: str, received: ArrayRecord, reply: RecordDict, client: int) -> None:
    """Check what the client would have sent in the clear: the server cannot look at it any more."""
    needs = ConfigRecord({NEEDED_METRICS: [NUM_EXAMPLES], NEEDED_RECORDS: [name]})
    if fault := fault_of("train", RecordDict({name: received, "needs": needs}), reply):
        raise FaultyReply(f"the reply of client {client} cannot be used: {fault}")
    if more := [other for other in reply.array_records if other != name]:
        raise InputError(
            f"a client's reply must have one model and no other arrays for SecureAggregation, got {more[0]!r}, too"
        )


def _vector(
    received: ArrayRecord, reply: RecordDict, num_clients: int, fixed_point: FixedPoint, most_examples: int
) -> np.ndarray:
    """Return x_k, uint32: the update (w_k - w) n_k / most_examples, and behind it n_k itself."""
    fixed_point.check_clients(num_clients)  # what the server has checked, a client does not believe
    (trained,) = reply.array_records.values()
    n_k: Any = next(record[NUM_EXAMPLES] for record in reply.metric_records.values() if NUM_EXAMPLES in record)
    try:
        examples = encode_counts([n_k], most=most_examples, num_clients=num_clients)
    except InputError as error:
        raise InputError(f"most_examples must be at least the {NUM_EXAMPLES} of each client: {error}") from None
    updates = [trained[key].numpy().astype(np.float64) - received[key].numpy() for key in received]
    update = np.concatenate([part.reshape(-1) for part in updates]) * (n_k / most_examples)
    try:
        return np.concatenate([fixed_point.encode(update), examples])
    except InputError as error:
        raise InputError(f"bound must be that of all updates times n_k / most_examples: {error}") from None

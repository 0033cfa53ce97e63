"""The clients' half of private averaging, as Flower mods: clip the update, then perhaps add a share of the noise.

    Delta_k = w_k - w_t                            the update of client k
    w_k <- w_t + Delta_k min(1, C / ||Delta_k||)   clip_mod
    w_k <- w_k + N(0, s^2)                         noise_mod

Flower runs the first mod of a list around all others, so what comes first in the list is done last to a reply:
`mods=[noise_mod(s, seed), clip_mod(C)]` clips, and then adds noise.

There are two places for the noise. The server adds it once to the mean, with standard deviation z C / m (`NoisyMean`):
then clients have to trust the server. Or each of m clients adds s = z C / sqrt(m) to its model, and the mean has
noise of s / sqrt(m) = z C / m, the same; one client's noise alone protects little, so this goes with secure
aggregation, which shows the server the sum alone.

Sources: McMahan et al. 2018, https://arxiv.org/abs/1710.06963; noise of all clients: Kairouz et al. 2021,
https://arxiv.org/abs/2102.06387.
"""

from typing import Any

from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.clientapp.typing import ClientAppCallable, Mod

from fedlearn_helpers.algorithms.aggregation import state_of
from fedlearn_helpers.errors import InputError, check_number
from fedlearn_helpers.privacy.clipping import check_clip_norm, clip, floats_of
from fedlearn_helpers.privacy.noise import add_noise
from fedlearn_helpers.seeds import check_seed, derive_seed
from fedlearn_helpers.simulation.position import client_of, training_round
from fedlearn_helpers.simulation.replies import NUM_EXAMPLES, FaultyReply, fault_of


def clip_mod(clip_norm: float) -> Mod:
    """Return a mod for a client's training that clips its update, and makes it count as much as any other.

    The client's number of examples becomes 1: with weights by examples, a large client would move the mean by more
    than C / m. Whole numbers in a model, such as BatchNorm's counter, are sent as they are, and so are the metrics,
    such as the training loss: what protects the model does not protect them.

    Args:
        clip_norm: C, > 0.

    Raises:
        InputError: a clip_norm out of range. In a client's training: it sends more arrays than one model, such as
            SCAFFOLD's control variates, which would not be clipped.
    """
    check_clip_norm(clip_norm)

    def clip_reply(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        asked = message.content
        reply = call_next(message, context)
        if reply.has_error():
            return reply
        name = _name_of_model(asked, reply.content)
        if fault := fault_of("train", asked, reply.content):
            raise FaultyReply(f"the reply of client {client_of(context)} cannot be used: {fault}")
        received, trained = state_of(asked.array_records[name]), state_of(reply.content.array_records[name])
        update = {key: tensor - received[key] for key, tensor in floats_of(trained).items()}
        clipped = {key: received[key] + step for key, step in clip(update, clip_norm).items()}
        reply.content[name] = ArrayRecord(trained | clipped)
        for metrics in reply.content.metric_records.values():
            if NUM_EXAMPLES in metrics:
                metrics[NUM_EXAMPLES] = 1
        return reply

    return clip_reply


def noise_mod(standard_deviation: float, seed: int) -> Mod:
    """Return a mod for a client's training that adds N(0, s^2) to every number of its model; around a `clip_mod`.

    Args:
        standard_deviation: s, >= 0; for a noise multiplier z and m clients in a round z C / sqrt(m).
        seed: together with round and client it decides the noise, so that a run repeats. Real clients keep theirs to
            themselves.

    Raises:
        InputError: an argument out of range. In a client's training: the reply does not come from a `clip_mod`, or it
            has more arrays than one model.
    """
    check_number("standard_deviation", standard_deviation, ">= 0", lambda deviation: deviation >= 0)
    seed = check_seed(seed)

    def add_noise_to_reply(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        asked, server_round = message.content, training_round(message.content)
        reply = call_next(message, context)
        if reply.has_error():
            return reply
        name = _name_of_model(asked, reply.content)
        _check_clipped(reply.content)
        drawn = derive_seed(seed, "client noise", server_round, client_of(context))
        model = state_of(reply.content.array_records[name])
        reply.content[name] = ArrayRecord(add_noise(model, standard_deviation, drawn))
        return reply

    return add_noise_to_reply


def _name_of_model(asked: RecordDict, reply: RecordDict) -> str:
    """Return the name of the one record of arrays in a reply, under which the client has received the model."""
    names = list(reply.array_records)
    if len(names) != 1 or names[0] not in asked.array_records:
        raise InputError(
            f"a private reply must have the trained model as its only arrays, got {sorted(names)}: all others would "
            "be sent without protection"
        )
    return names[0]


def _check_clipped(reply: RecordDict) -> None:
    """Check that a reply has been through a `clip_mod`, as far as it can be seen."""
    examples: Any = [metrics[NUM_EXAMPLES] for metrics in reply.metric_records.values() if NUM_EXAMPLES in metrics]
    if examples != [1]:
        raise InputError(
            f"{NUM_EXAMPLES} must be 1 before noise is added, as after a clip_mod, got {examples}: noise on what is "
            "not clipped hides nothing; use mods=[noise_mod(…), clip_mod(…)] in this order"
        )

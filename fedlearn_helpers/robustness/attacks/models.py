"""What the attacks on a model share: a Flower mod that lets an attacker train honestly, and then changes its model."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.clientapp.typing import ClientAppCallable, Mod
from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import state_of
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.robustness.attacks.clients import check_clients, is_one_of
from fedlearn_helpers.simulation.position import client_of, training_round

Numbers = dict[str, Tensor]
"""The float tensors of a model by name: attacks leave whole numbers, such as BatchNorm's counter, as they are."""


@dataclass(frozen=True)
class Place:
    """Where in a run an attack happens.

    Attributes:
        server_round: from 1.
        client: from 0.
    """

    server_round: int
    client: int


Change = Callable[[Numbers, Numbers, Place], Numbers]
"""Called with w_t, with w_k as it was trained, and with the place; returns what the attacker sends."""


def model_attack_mod(attackers: Collection[int], change: Change) -> Mod:
    """Return a mod for `federate(…, mods=[…])`: attackers train, and send a changed model; all others are left alone.

    What else is in a reply, such as the number of examples or the training loss, stays true.

    Args:
        attackers: numbers of clients, from 0; may be empty.
        change: makes what an attacker sends.

    Raises:
        InputError: attackers that are no numbers of clients. In an attacker's training: its reply has no model under a
            name that it has received.
    """
    attackers = check_clients("attackers", attackers)

    def attack(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        if not is_one_of(attackers, context):
            return call_next(message, context)
        place = Place(training_round(message.content), client_of(context))
        received = received_states(message.content)
        reply = call_next(message, context)
        if not reply.has_error():
            name = name_of_model(received, reply.content)
            trained = state_of(reply.content.array_records[name])
            changed = change(floats_of(received[name]), floats_of(trained), place)
            reply.content[name] = ArrayRecord(trained | changed)
        return reply

    return attack


def received_states(asked: RecordDict) -> dict[str, Numbers]:
    """Return what a client has received, by name of the record; as it was, whatever training does to the message."""
    return {name: state_of(arrays) for name, arrays in asked.array_records.items()}


def name_of_model(received: dict[str, Numbers], reply: RecordDict) -> str:
    """Return the name of the one record of arrays in a reply that the client has received, too."""
    names = [name for name in reply.array_records if name in received]
    if len(names) != 1:
        raise InputError(
            f"an attacked model must be sent under the name under which it was received, one of {sorted(received)}, "
            f"got {sorted(reply.array_records)}"
        )
    return names[0]


def floats_of(state: Numbers) -> Numbers:
    """Return the tensors of floats, by name."""
    return {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}


def stretched(received: Numbers, trained: Numbers, factor: float) -> Numbers:
    """Return w_t + factor (w_k - w_t)."""
    return {name: start + factor * (trained[name] - start) for name, start in received.items()}

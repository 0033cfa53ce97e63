"""Lying about examples: the attacker claims to have more than it has, and FedAvg weighs it by what it claims.

    n_k <- s n_k

The cheapest attack of all: no update is out of the ordinary. The server cannot count a client's examples; it can stop
weighing by them, or bound what a client may claim.
"""

from collections.abc import Collection

from flwr.app import Context, Message
from flwr.clientapp.typing import ClientAppCallable, Mod

from fedlearn_helpers.errors import check_number
from fedlearn_helpers.robustness.attacks.clients import check_clients, is_one_of
from fedlearn_helpers.simulation.replies import NUM_EXAMPLES


def claim_examples_mod(attackers: Collection[int], factor: float) -> Mod:
    """Return a mod for `federate(…, mods=[…])`; with an attack on the model beside it.

    Args:
        attackers: numbers of clients, from 0; may be empty.
        factor: s, > 0.

    Raises:
        InputError: an argument out of range.
    """
    attackers = check_clients("attackers", attackers)
    check_number("factor", factor, "> 0", lambda number: number > 0)

    def claim(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        reply = call_next(message, context)
        if is_one_of(attackers, context) and not reply.has_error():
            for metrics in reply.content.metric_records.values():
                if NUM_EXAMPLES in metrics:
                    metrics[NUM_EXAMPLES] *= factor  # type: ignore[operator]  # a number, not a list of them
        return reply

    return claim

"""What the attacks of colluders share: all send one and the same update, made of their own honest updates.

Colluders know their own data, and nothing of the honest clients. Each computes the honest updates of all of them: it
runs the training of every colluder, so that no messages pass between clients, and each gets the same bits however the
clients are spread over processes. f colluders so train f^2 times in a round, and not f times.
"""

import copy
from collections.abc import Callable, Collection, Sequence

from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.clientapp.typing import ClientAppCallable, Mod

from fedlearn_helpers.algorithms.aggregation import state_of
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.robustness.attacks.clients import check_clients, is_one_of
from fedlearn_helpers.robustness.attacks.models import Numbers, floats_of, name_of_model, received_states
from fedlearn_helpers.simulation.client_task import message_of
from fedlearn_helpers.simulation.position import client_of

Agree = Callable[[Sequence[Numbers]], Numbers]
"""Called with the colluders' honest updates, in the order of their numbers; returns the update that all send."""


def colluding_mod(colluders: Collection[int], agree: Agree) -> Mod:
    """Return a mod for `federate(…, mods=[…])`; for algorithms whose clients keep no state, such as FedAvg.

    A model whose training draws random numbers, as with dropout, gets others for the other colluders than they use.

    Args:
        colluders: numbers of clients, from 0; may be empty.
        agree: makes the update that all send.

    Raises:
        InputError: colluders that are no numbers of clients. In a colluder's training: clients keep a state, or the
            reply has no model under a name that it has received.
    """
    colluders = check_clients("colluders", colluders)

    def collude(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        if not is_one_of(colluders, context):
            return call_next(message, context)
        asked, received = copy.deepcopy(message.content), received_states(message.content)
        own = call_next(message, context)
        if own.has_error():
            return own
        name = name_of_model(received, own.content)
        start = floats_of(received[name])
        updates = []
        for colluder in colluders:
            reply = own
            if colluder != client_of(context):
                other = _context_of(colluder, context)
                reply = call_next(message_of(copy.deepcopy(asked), message.metadata), other)
                if reply.has_error():
                    return reply
                if other.state or context.state:
                    raise InputError("colluders need an algorithm whose clients keep no state, such as FedAvg")
            trained = state_of(reply.content.array_records[name])
            updates.append({key: trained[key] - start[key] for key in start})
        agreed = {key: start[key] + step for key, step in agree(updates).items()}
        own.content[name] = ArrayRecord(state_of(own.content.array_records[name]) | agreed)
        return own

    return collude


def _context_of(client: int, context: Context) -> Context:
    """Return the context of another client, without a state."""
    return Context(
        run_id=context.run_id,
        node_id=context.node_id,
        node_config={**context.node_config, "partition-id": client},
        state=RecordDict(),
        run_config=context.run_config,
    )


def mean_of(updates: Sequence[Numbers]) -> Numbers:
    """Return the mean of updates, number by number."""
    return {key: sum(update[key] for update in updates) / len(updates) for key in updates[0]}  # type: ignore[misc]

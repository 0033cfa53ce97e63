"""Free riding: a client that wants the global model, and gives nothing for it.

    w_k <- w_t + noise,      ||noise|| = s ||w_t - w_{t'}||,      w_{t'} the model that it has received before

With s = 0 it sends back what it has received, which a server can see. Noise as large as the model's last change looks
like an update. It knows no such change in its first round, and sends the model back.

A real free rider does not train. Here the training runs, and its result is thrown away: so the reply has the numbers
that all clients send, such as a loss, which a free rider would make up.

Sources: Lin et al. 2019, https://arxiv.org/abs/1911.12560; Fraboni et al. 2021, https://arxiv.org/abs/2006.11901.
"""

import math
from collections.abc import Collection

import torch
from flwr.app import ArrayRecord, Context, Message
from flwr.clientapp.typing import ClientAppCallable, Mod

from fedlearn_helpers.algorithms.aggregation import state_of
from fedlearn_helpers.errors import check_number
from fedlearn_helpers.robustness.attacks.clients import check_clients, is_one_of
from fedlearn_helpers.robustness.attacks.models import Numbers, floats_of, name_of_model, received_states
from fedlearn_helpers.robustness.attacks.noise import noise_like
from fedlearn_helpers.seeds import check_seed, derive_seed
from fedlearn_helpers.simulation.position import client_of, training_round

_BEFORE = "free-rider-received"  # in the client's state: the model of its last round


def free_ride_mod(riders: Collection[int], disguise: float = 0.0, *, seed: int = 0) -> Mod:
    """Return a mod for `federate(…, mods=[…])`.

    Args:
        riders: numbers of clients, from 0; may be empty.
        disguise: s, >= 0.
        seed: together with round and client it decides the noise.

    Raises:
        InputError: an argument out of range. In a rider's training: its reply has no model under a name that it has
            received.
    """
    riders, seed = check_clients("riders", riders), check_seed(seed)
    check_number("disguise", disguise, ">= 0", lambda number: number >= 0)

    def ride(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        if not is_one_of(riders, context):
            return call_next(message, context)
        drawn = derive_seed(seed, "free rider", training_round(message.content), client_of(context))
        received = received_states(message.content)
        reply = call_next(message, context)
        if reply.has_error():
            return reply
        name = name_of_model(received, reply.content)
        model, sent = received[name], dict(received[name])
        if disguise and _BEFORE in context.state:
            sent |= _disguised(floats_of(model), state_of(context.state.array_records[_BEFORE]), disguise, drawn)
        if disguise:
            context.state[_BEFORE] = ArrayRecord(floats_of(model))
        reply.content[name] = ArrayRecord(sent)
        return reply

    return ride


def _disguised(model: Numbers, before: Numbers, disguise: float, seed: int) -> Numbers:
    noise = noise_like(model, seed)
    change = _norm({name: model[name] - before[name] for name in model})
    factor = disguise * change / _norm(noise)
    return {name: tensor + factor * noise[name] for name, tensor in model.items()}


def _norm(numbers: Numbers) -> float:
    return math.hypot(*(float(torch.linalg.vector_norm(tensor.double())) for tensor in numbers.values()))

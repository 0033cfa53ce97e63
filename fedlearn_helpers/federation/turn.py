"""One client's turn: a message goes in, a reply comes out. The same code for every engine in this package."""

import time
from dataclasses import dataclass

import torch
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from fedlearn_helpers.seeds import seeded


@dataclass(frozen=True)
class Turn:
    """What one client needs to answer one message.

    Attributes:
        message: the client's own copy of the message, which its code may change.
        bytes_down: size of the arrays in the message.
        context: the client's context; its `state` is what the client kept from earlier turns.
        round, phase, client: where in the run this is.
        seed: for the global random generators.
    """

    message: Message
    bytes_down: int
    context: Context
    round: int
    phase: str
    client: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What came of a turn.

    Attributes:
        reply: the client's reply; None if its code raised.
        context: the client's context after the turn, with the state it wants to keep.
        seconds: time the client's code took.
        exception: what the client's code raised; None if it replied.
    """

    reply: Message | None
    context: Context
    seconds: float
    exception: Exception | None = None


def take_turn(client_app: ClientApp, turn: Turn) -> Outcome:
    """Call the client's code with its own random seed, on one thread.

    An answer that is no message, or an error message (Flower's mods send such), counts as raised.

    One thread, because floating-point sums depend on how they are split over threads: so the bits
    are the same however many clients run side by side.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = time.perf_counter()
    try:
        with seeded(turn.seed):
            reply = client_app(turn.message, turn.context)
        if not isinstance(reply, Message):
            raise TypeError(f"a client's function must return a Message, got {reply!r}")
        if reply.has_error():
            raise RuntimeError(f"the client answered with an error: {reply.error.reason}")
        return Outcome(reply, turn.context, time.perf_counter() - start)
    except Exception as exception:
        where = f"client {turn.client} in round {turn.round}, phase {turn.phase!r}"
        exception.add_note(f"(raised by {where})")
        return Outcome(None, turn.context, time.perf_counter() - start, exception)
    finally:
        torch.set_num_threads(threads)

"""Which clients attack."""

import math
from collections.abc import Collection, Sequence

from flwr.app import Context

from fedlearn_helpers.errors import InputError, as_whole_number
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.simulation.position import client_of


def check_clients(argument: str, clients: Collection[int], num_clients: int | None = None) -> tuple[int, ...]:
    """Return numbers of clients in ascending order.

    Args:
        argument: its name, for the message.
        clients: whole numbers >= 0, each once; may be empty.
        num_clients: how many clients there are, if that is known; all numbers must be below.

    Raises:
        InputError: they are not.
    """
    most = math.inf if num_clients is None else num_clients
    numbers = [as_whole_number(client) for client in clients] if isinstance(clients, Collection) else [None]
    valid = {number for number in numbers if number is not None and 0 <= number < most}
    if len(valid) < len(numbers):
        limits = "whole numbers >= 0" if num_clients is None else f"whole numbers >= 0 and < {num_clients}"
        raise InputError(f"{argument} must be {limits}, each once, got {clients!r}")
    return tuple(sorted(valid))


def is_one_of(clients: tuple[int, ...], context: Context) -> bool:
    """Tell whether the client of a context is one of these.

    Raises:
        InputError: one of them is not in the federation.
    """
    count = int(context.node_config.get("num-partitions", 0))
    if clients and count and clients[-1] >= count:
        raise InputError(f"attackers must be numbers of clients, 0 to {count - 1}, got {list(clients)}")
    return client_of(context) in clients


def check_only_theirs(shards: Sequence[Shard], attackers: tuple[int, ...]) -> None:
    """Raise an InputError if an honest client has training examples of an attacker, which the attack would change."""
    theirs = {int(index) for attacker in attackers for index in shards[attacker].train}
    for client, shard in enumerate(shards):
        if client not in attackers and not theirs.isdisjoint((*shard.train, *shard.validation)):
            raise InputError(
                f"shards must give client {client} no training examples of the attackers {list(attackers)}"
            )

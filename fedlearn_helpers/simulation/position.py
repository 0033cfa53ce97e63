"""Which client, and which round: read from what Flower hands to a client's code."""

from typing import Any

from flwr.app import Context, RecordDict

from fedlearn_helpers.errors import InputError


def client_of(context: Context) -> int:
    """Return the client's number, from 0: its `partition-id`."""
    return int(context.node_config["partition-id"])


def training_round(content: RecordDict) -> int:
    """Return the round that a message belongs to, from 1; what is drawn for a client depends on it.

    Raises:
        InputError: the message does not say.
    """
    if (server_round := round_of(content)) is None:
        raise InputError("the server's message must have 'server-round' in its config, as Flower's strategies write it")
    return server_round


def round_of(content: RecordDict) -> int | None:
    """Return the round that Flower's strategies write into the config of a message, or None where there is none.

    Raises:
        InputError: it is no whole number >= 0.
    """
    configs = content.config_records.values()
    named: Any = next((config["server-round"] for config in configs if "server-round" in config), None)
    if named is None:
        return None
    try:
        server_round = int(named)
    except (TypeError, ValueError, OverflowError):  # a list, a word, infinity
        server_round = -1
    if server_round < 0:
        raise InputError(f"'server-round' in a message's config must be a whole number >= 0, got {named!r}")
    return server_round

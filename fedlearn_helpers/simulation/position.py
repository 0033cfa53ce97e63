"""Which client, and which round: read from what Flower hands to a client's code."""

from typing import cast

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
    if not any("server-round" in config for config in content.config_records.values()):
        raise InputError("the server's message must have 'server-round' in its config, as Flower's strategies write it")
    return round_of(content)


def round_of(content: RecordDict) -> int:
    """Return the round that Flower's strategies write into the config of a message, or 0 where there is none."""
    configs = content.config_records.values()
    return int(cast(int, next((config["server-round"] for config in configs if "server-round" in config), 0)))

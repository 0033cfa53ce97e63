"""Which client, and which round: read from what Flower hands to a client's code."""

from typing import cast

from flwr.app import Context, RecordDict


def client_of(context: Context) -> int:
    """Return the client's number, from 0: its `partition-id`."""
    return int(context.node_config["partition-id"])


def round_of(content: RecordDict) -> int:
    """Return the round that Flower's strategies write into the config of a message, or 0 where there is none."""
    configs = content.config_records.values()
    return int(cast(int, next((config["server-round"] for config in configs if "server-round" in config), 0)))

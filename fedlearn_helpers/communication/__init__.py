"""Bytes, networks and time: clients' links, a server that does not wait, and averaging without a server."""

from fedlearn_helpers.communication.fedbuff import AsynchronousResult, inverse_root, no_weight, run_fedbuff
from fedlearn_helpers.communication.links import (
    Clock,
    Links,
    draw_links,
    first_reaching,
    synchronous_curve,
    within,
)

__all__ = [
    "AsynchronousResult",
    "Clock",
    "Links",
    "draw_links",
    "first_reaching",
    "inverse_root",
    "no_weight",
    "run_fedbuff",
    "synchronous_curve",
    "within",
]

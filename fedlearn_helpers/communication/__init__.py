"""Bytes, networks and time: compressed updates, clients' links, and a server that does not wait."""

from fedlearn_helpers.communication.codec import Codec
from fedlearn_helpers.communication.compression import Compression
from fedlearn_helpers.communication.fedbuff import AsynchronousResult, inverse_root, no_weight, run_fedbuff
from fedlearn_helpers.communication.links import (
    Clock,
    Links,
    draw_links,
    first_reaching,
    synchronous_curve,
    within,
)
from fedlearn_helpers.communication.lossless import Lossless
from fedlearn_helpers.communication.low_rank import LowRank
from fedlearn_helpers.communication.qsgd import QSGD
from fedlearn_helpers.communication.quantization import Quantization
from fedlearn_helpers.communication.random_k import RandomK
from fedlearn_helpers.communication.sign import Sign
from fedlearn_helpers.communication.top_k import TopK

__all__ = [
    "QSGD",
    "AsynchronousResult",
    "Clock",
    "Codec",
    "Compression",
    "Links",
    "Lossless",
    "LowRank",
    "Quantization",
    "RandomK",
    "Sign",
    "TopK",
    "draw_links",
    "first_reaching",
    "inverse_root",
    "no_weight",
    "run_fedbuff",
    "synchronous_curve",
    "within",
]

"""Fewer bytes: compressors of updates, and what puts them between a server and its clients."""

from fedlearn_helpers.communication.codec import Codec
from fedlearn_helpers.communication.compression import Compression
from fedlearn_helpers.communication.lossless import Lossless
from fedlearn_helpers.communication.low_rank import LowRank
from fedlearn_helpers.communication.qsgd import QSGD
from fedlearn_helpers.communication.quantization import Quantization
from fedlearn_helpers.communication.random_k import RandomK
from fedlearn_helpers.communication.sign import Sign
from fedlearn_helpers.communication.top_k import TopK

__all__ = ["QSGD", "Codec", "Compression", "Lossless", "LowRank", "Quantization", "RandomK", "Sign", "TopK"]

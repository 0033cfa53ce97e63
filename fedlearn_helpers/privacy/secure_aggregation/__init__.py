"""Secure aggregation: a server that adds the vectors of its clients, and sees none of them."""

from fedlearn_helpers.privacy.secure_aggregation.draws import RandomBytes, teaching_bytes
from fedlearn_helpers.privacy.secure_aggregation.errors import TamperedShare, TooFewMembers
from fedlearn_helpers.privacy.secure_aggregation.fixed_point import FixedPoint, encode_counts
from fedlearn_helpers.privacy.secure_aggregation.in_process import SecureSum, secure_sum
from fedlearn_helpers.privacy.secure_aggregation.masks import agree, expand, pairwise_mask, public_key
from fedlearn_helpers.privacy.secure_aggregation.member import Member, PublicKeys, Revealed
from fedlearn_helpers.privacy.secure_aggregation.server import Server
from fedlearn_helpers.privacy.secure_aggregation.shamir import combine, split
from fedlearn_helpers.privacy.secure_aggregation.transport import SecureAggregation

__all__ = [
    "FixedPoint",
    "Member",
    "PublicKeys",
    "RandomBytes",
    "Revealed",
    "SecureAggregation",
    "SecureSum",
    "Server",
    "TamperedShare",
    "TooFewMembers",
    "agree",
    "combine",
    "encode_counts",
    "expand",
    "pairwise_mask",
    "public_key",
    "secure_sum",
    "split",
    "teaching_bytes",
]

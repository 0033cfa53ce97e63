"""A whole secure sum in one call, members and server in this process."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError, as_whole_number, check_whole_number
from fedlearn_helpers.privacy.secure_aggregation.draws import RandomBytes, system_bytes
from fedlearn_helpers.privacy.secure_aggregation.errors import check_threshold
from fedlearn_helpers.privacy.secure_aggregation.member import Member, check_vector
from fedlearn_helpers.privacy.secure_aggregation.server import Server
from fedlearn_helpers.privacy.secure_aggregation.wire import pack, share_bytes


@dataclass(frozen=True)
class SecureSum:
    """What came of a secure sum.

    Attributes:
        total: the survivors' sum modulo 2^32: (n,) uint32.
        masked: what the server has seen of the vectors, by member: (n,) uint32.
        survivors: the members that are in the sum.
        bytes_up, bytes_down: by member, what it has sent and received, Flower's headers not counted.
    """

    total: np.ndarray
    masked: dict[int, np.ndarray]
    survivors: tuple[int, ...]
    bytes_up: dict[int, int]
    bytes_down: dict[int, int]


def secure_sum(
    vectors: Sequence[np.ndarray], *, threshold: int, dropped: Collection[int] = (), random: RandomBytes = system_bytes
) -> SecureSum:
    """Add vectors without showing any of them to the server.

    Args:
        vectors: one per member, (n,) uint32; floats by `FixedPoint.encode`, counts by `encode_counts`.
        threshold: how many members must survive: at least 2, and more than half of all.
        dropped: members, by their place in `vectors`, that drop out after they have shared their secrets, and before
            they send their masked vectors: the latest and dearest moment.
        random: where the members' secrets come from; `teaching_bytes(seed)` gives the same picture in every run.

    Raises:
        TooFewMembers: too few survive.
        InputError: an argument out of range.
    """
    check_threshold(check_whole_number("threshold", threshold, 2), len(vectors))
    for number, vector in enumerate(vectors):
        check_vector(f"vectors[{number}]", vector)
        if len(vector) != len(vectors[0]):
            raise InputError(f"vectors must have one length, got {len(vectors[0])} and {len(vector)}")
    if strangers := [one for one in dropped if as_whole_number(one) not in range(len(vectors))]:
        raise InputError(f"dropped must be numbers from 0 to {len(vectors) - 1}, got {strangers[0]!r}")
    server = Server(threshold)
    members = {number: Member(number, threshold, random) for number in range(len(vectors))}
    bytes_up, bytes_down = dict.fromkeys(members, 0), dict.fromkeys(members, 0)

    advertised = {number: member.advertise() for number, member in members.items()}
    keys = server.collect_keys(advertised)
    for number in members:
        bytes_up[number] += len(keys[number].to_bytes())
        bytes_down[number] += len(pack({other: of.to_bytes() for other, of in keys.items()}))

    shared = {number: member.share(keys) for number, member in members.items()}
    carried = server.collect_shares(shared)
    masked: dict[int, np.ndarray] = {}
    for number, member in members.items():
        bytes_up[number] += len(pack(shared[number]))
        if number not in dropped:
            bytes_down[number] += len(pack(carried[number]))
            member.receive(carried[number])
            masked[number] = member.mask(vectors[number])
            bytes_up[number] += masked[number].nbytes

    survivors = server.collect_masked(masked)
    revealed = {number: members[number].reveal(survivors) for number in survivors}
    for number, shares in revealed.items():
        bytes_down[number] += len(pack(dict.fromkeys(survivors, b"")))
        for table in (shares.seeds, shares.keys):
            bytes_up[number] += len(pack({owner: share_bytes(share) for owner, share in table.items()}))
    return SecureSum(server.unmask(revealed), server.masked, tuple(survivors), bytes_up, bytes_down)

"""What members and server send, as bytes: tables of equally long entries, each behind the number of its member."""

from collections.abc import Mapping

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.privacy.secure_aggregation.shamir import PRIME

NUMBER_BYTES = 8
SHARE_BYTES = (PRIME.bit_length() + 7) // 8


def number_bytes(number: int) -> bytes:
    """Return a member's number as 8 bytes."""
    return number.to_bytes(NUMBER_BYTES, "little")


def share_bytes(share: int) -> bytes:
    """Return a share as 66 bytes."""
    return share.to_bytes(SHARE_BYTES, "little")


def share_of(data: bytes) -> int:
    """Undo `share_bytes`."""
    return int.from_bytes(data, "little")


def pack(table: Mapping[int, bytes]) -> bytes:
    """Return a table of equally long entries by member."""
    return b"".join(number_bytes(number) + table[number] for number in sorted(table))


def unpack(data: bytes, size: int) -> dict[int, bytes]:
    """Undo `pack`.

    Args:
        data: what it returned.
        size: bytes of an entry.

    Raises:
        InputError: the data are no such table.
    """
    length = NUMBER_BYTES + size
    if len(data) % length:
        raise InputError(f"a table must have entries of {length} bytes, got {len(data)} bytes")
    entries = [data[start : start + length] for start in range(0, len(data), length)]
    return {int.from_bytes(entry[:NUMBER_BYTES], "little"): entry[NUMBER_BYTES:] for entry in entries}

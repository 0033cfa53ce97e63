"""Whole numbers of a few bits, without gaps between them."""

import numpy as np


def pack_bits(codes: np.ndarray, bits: int) -> bytes:
    """Return ceil(n * bits / 8) bytes.

    Args:
        codes: (n,) whole numbers in [0, 2**bits).
        bits: of each, 1 to 16.
    """
    if bits in (8, 16):
        return codes.astype(">u2" if bits == 16 else np.uint8).tobytes()
    if bits < 8:
        each = np.unpackbits(codes.astype(np.uint8)[:, None], axis=1)
    else:
        each = np.unpackbits(codes.astype(">u2")[:, None].view(np.uint8), axis=1)
    return np.packbits(each[:, each.shape[1] - bits :]).tobytes()


def unpack_bits(data: bytes, bits: int, count: int) -> np.ndarray:
    """Undo `pack_bits`: (count,) int32."""
    if bits in (8, 16):
        return np.frombuffer(data, ">u2" if bits == 16 else np.uint8, count).astype(np.int32)
    each = np.unpackbits(np.frombuffer(data, np.uint8), count=count * bits).reshape(count, bits)
    width = 8 if bits < 8 else 16
    padded = np.zeros((count, width), np.uint8)
    padded[:, width - bits :] = each
    return np.packbits(padded, axis=1).view(np.uint8 if width == 8 else ">u2").reshape(-1).astype(np.int32)

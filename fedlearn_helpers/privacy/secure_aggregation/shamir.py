"""Shamir's secret sharing: n shares of a secret, of which any t give it back, and t - 1 tell nothing.

    f(x) = s + a_1 x + ... + a_{t-1} x^{t-1} mod p,  a_i uniform          share of holder x: f(x), x != 0
    s = f(0) = sum_x f(x) l_x,  l_x = prod_{y != x} y / (y - x) mod p     over any t or more holders

Through t - 1 shares and *any* value at 0 goes exactly one such polynomial, so every secret is equally likely.

Source: Shamir 1979, "How to share a secret", https://doi.org/10.1145/359168.359176.
"""

import functools
from collections.abc import Collection, Mapping

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.privacy.secure_aggregation.draws import RandomBytes, number_below, system_bytes

PRIME = 2**521 - 1
"""p: a Mersenne prime, larger than any secret of 64 bytes."""


def split(
    secret: int, holders: Collection[int], threshold: int, random: RandomBytes = system_bytes, *, prime: int = PRIME
) -> dict[int, int]:
    """Return one share per holder.

    Args:
        secret: s, in [0, prime).
        holders: x, different numbers in [1, prime).
        threshold: t, how many shares give the secret back; from 1 to the number of holders.
        random: where the coefficients come from.
        prime: p.

    Raises:
        InputError: an argument out of range.
    """
    if not 0 <= secret < prime:
        raise InputError("secret must be >= 0 and less than the prime")  # and is not told
    _check_holders(holders, prime)
    if not 1 <= threshold <= len(holders):
        raise InputError(f"threshold must be from 1 to the {len(holders)} holders, got {threshold}")
    coefficients = [secret, *(number_below(prime, random) for _ in range(threshold - 1))]
    return {x: _value(coefficients, x, prime) for x in holders}


def combine(shares: Mapping[int, int], *, prime: int = PRIME) -> int:
    """Return the secret.

    Fewer shares than the threshold give some other number, and nothing here can tell.

    Args:
        shares: f(x) by x; at least as many as the threshold.
        prime: p.

    Raises:
        InputError: no shares, or holders out of range.
    """
    if not shares:
        raise InputError("shares must be at least one, got none")
    factors = _factors_at_zero(tuple(shares), prime)
    return sum(share * factor for share, factor in zip(shares.values(), factors, strict=True)) % prime


def _value(coefficients: list[int], x: int, prime: int) -> int:
    """Return f(x), by Horner's rule."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % prime
    return value


@functools.lru_cache(maxsize=64)  # the holders who answer are the same for all secrets of a round
def _factors_at_zero(holders: tuple[int, ...], prime: int) -> tuple[int, ...]:
    """Return l_x for each holder x."""
    _check_holders(holders, prime)
    factors = []
    for x in holders:
        above, below = 1, 1
        for y in holders:
            if y != x:
                above, below = above * y % prime, below * (y - x) % prime
        factors.append(above * pow(below, -1, prime) % prime)
    return tuple(factors)


def _check_holders(holders: Collection[int], prime: int) -> None:
    if len(set(holders)) != len(holders) or not all(0 < x < prime for x in holders):
        raise InputError(f"holders must be different numbers >= 1 and less than the prime, got {sorted(holders)}")

"""Parts of secure aggregation: shares, masks, and numbers that can be masked."""

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.privacy.secure_aggregation import (
    FixedPoint,
    agree,
    combine,
    encode_counts,
    expand,
    pairwise_mask,
    public_key,
    split,
    teaching_bytes,
)
from fedlearn_helpers.privacy.secure_aggregation.shamir import PRIME
from fedlearn_helpers.privacy.secure_aggregation.wire import pack, share_bytes, share_of, unpack

SMALL = 11


def chi_square(values):
    """Return the chi-square of bytes against uniform ones: 255 +- 22.6 where they are."""
    counts = np.bincount(np.asarray(values).reshape(-1), minlength=256)
    return float(((counts - counts.mean()) ** 2 / counts.mean()).sum())


UNIFORM = 255 + 6 * 22.6


def coefficients(*numbers):
    """Return a source from which `split` draws these coefficients, all below 11: in the upper four bits of a byte."""
    rest = iter(numbers)
    return lambda size: bytes([next(rest) << 4])


# Shamir ----------------------------------------------------------------------------------


def test_any_shares_of_the_threshold_give_the_secret_back():
    for secret in (0, 1, 2**256 - 1, PRIME - 1):
        shares = split(secret, range(1, 7), 4, teaching_bytes(0))
        for count in (4, 5, 6):
            for holders in combinations(shares, count):
                assert combine({x: shares[x] for x in holders}) == secret
        assert combine({x: shares[x] for x in (1, 2, 3)}) != secret


@pytest.mark.parametrize("threshold", [2, 3])
def test_shares_below_the_threshold_tell_nothing(threshold):
    """Over all coefficients, t - 1 shares take every value once, whatever the secret; t shares do not."""
    seen, told = [], []
    for secret in range(SMALL):
        below, enough = Counter(), set()
        for drawn in product(range(SMALL), repeat=threshold - 1):
            shares = split(secret, range(1, 5), threshold, coefficients(*drawn), prime=SMALL)
            below[tuple(shares[x] for x in range(2, 1 + threshold))] += 1
            enough.add(tuple(shares[x] for x in range(1, 1 + threshold)))
        assert set(below.values()) == {1} and len(below) == SMALL ** (threshold - 1)
        seen.append(below)
        told.append(enough)
    assert all(below == seen[0] for below in seen)
    assert all(not first & second for first, second in combinations(told, 2))


def test_every_secret_is_possible_behind_shares_below_the_threshold():
    """For each of them, some last share fits: combined with the ones that are known it gives that secret."""
    shares = split(7, range(1, 5), 3, coefficients(4, 9), prime=SMALL)
    known = {x: shares[x] for x in (1, 2)}
    assert {combine(known | {3: last}, prime=SMALL) for last in range(SMALL)} == set(range(SMALL))


def test_bytes_of_a_share_are_uniform():
    """The same secret each time, and one share of it; with a threshold of one the share is the secret."""
    few = [share_bytes(split(5, [1, 2, 3], 2, teaching_bytes(0, k))[1])[:65] for k in range(400)]
    assert chi_square(np.frombuffer(b"".join(few), np.uint8)) < UNIFORM
    open_ones = [share_bytes(split(5, [1, 2, 3], 1)[1])[:65] for _ in range(400)]
    assert chi_square(np.frombuffer(b"".join(open_ones), np.uint8)) > 100 * UNIFORM


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((PRIME, [1, 2], 2), "^secret must be"),
        ((-1, [1, 2], 2), "^secret must be"),
        ((5, [0, 1], 2), "^holders must be"),
        ((5, [1, 1], 2), "^holders must be"),
        ((5, [1, 1 + PRIME], 2), "^holders must be"),
        ((5, [1, 2], 3), "^threshold must be"),
        ((5, [1, 2], 0), "^threshold must be"),
    ],
)
def test_secrets_that_cannot_be_split(arguments, message):
    with pytest.raises(InputError, match=message):
        split(*arguments)


def test_shares_that_cannot_be_combined():
    for shares in ({}, {0: 5}):
        with pytest.raises(InputError):
            combine(shares)


def test_tables_are_read_as_they_were_written():
    table = {7: share_bytes(5), 2**64 - 1: share_bytes(PRIME - 1)}
    assert unpack(pack(table), 66) == table
    assert {owner: share_of(data) for owner, data in table.items()} == {7: 5, 2**64 - 1: PRIME - 1}
    with pytest.raises(InputError, match="^a table must"):
        unpack(pack(table)[:-1], 66)


# Masks -----------------------------------------------------------------------------------


def masks_of(count, size):
    """Return each member's sum of pairwise masks, with keys that nobody agreed on."""
    keys = {pair: teaching_bytes(0, *pair)(32) for pair in combinations(range(count), 2)}
    return [
        sum(
            (pairwise_mask(u, v, keys[min(u, v), max(u, v)], size) for v in range(count) if v != u),
            np.zeros(size, np.uint32),
        )
        for u in range(count)
    ]


@pytest.mark.parametrize("count", range(2, 51))
def test_pairwise_masks_cancel_to_the_bit_and_one_missing_breaks_it(count):
    masks = masks_of(count, 8)
    assert not np.sum(masks, axis=0, dtype=np.uint32).any()
    for missing in range(count):
        assert np.sum(masks[:missing] + masks[missing + 1 :], axis=0, dtype=np.uint32).all()


def test_two_members_agree_and_others_do_not():
    secrets = [teaching_bytes(0, k)(32) for k in range(3)]
    keys = [public_key(secret) for secret in secrets]
    agreed = agree(secrets[0], keys[1], b"mask")
    assert agreed == agree(secrets[1], keys[0], b"mask")
    others = {agree(secrets[0], keys[1], b"other"), agree(secrets[2], keys[0], b"mask"), secrets[0], keys[0]}
    assert agreed not in others and len(others) == 4


def test_public_keys_are_those_of_rfc_7748():
    """Alice's key pair in section 6.1."""
    secret = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    assert public_key(secret).hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"


def test_expansion_is_aes_256_in_counter_mode():
    """NIST's first block of AES-256 under the key of zeros, for the counter 0."""
    assert expand(bytes(32), 4).tobytes().hex() == "dc95c078a2408989ad48a21492842087"
    assert np.array_equal(expand(bytes(32), 9)[:4], expand(bytes(32), 4))
    assert chi_square(expand(bytes(32), 50_000).view(np.uint8)) < UNIFORM


# Numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2, 8, 16, 20, 31])
@pytest.mark.parametrize("bound", [1e-3, 1.0, 300.0])
def test_rounding_stays_below_the_largest_error(bits, bound):
    numbers = FixedPoint(bound, bits)
    values = np.random.default_rng(0).uniform(-bound, bound, 10_000)
    errors = np.abs(numbers.decode(numbers.encode(values)) - values)
    assert 0.9 * numbers.largest_error < errors.max() <= numbers.largest_error * (1 + 1e-6)
    ends = np.array([-bound, 0.0, bound])
    np.testing.assert_allclose(numbers.decode(numbers.encode(ends)), ends, rtol=1e-12)


def test_sixteen_bits_in_the_mean_of_forty():
    numbers = FixedPoint(1.0, 16)
    values = np.random.default_rng(0).uniform(-1, 1, (40, 20_000))
    total = np.sum([numbers.encode(vector) for vector in values], axis=0, dtype=np.uint32)
    error = np.abs(numbers.decode(total) / 40 - values.mean(axis=0)).max()
    assert error <= numbers.largest_error == pytest.approx(1.526e-5, rel=1e-3)


@pytest.mark.parametrize(("bits", "clients"), [(31, 2), (30, 4), (20, 4096), (16, 65536)])
def test_the_largest_sums_fit_and_one_client_more_does_not(bits, clients):
    numbers = FixedPoint(1.0, bits)
    numbers.check_clients(clients)
    for end in (1.0, -1.0):
        total = np.uint32(clients * int(numbers.encode(np.array([end]))[0]) % 2**32)
        assert numbers.decode(np.array([total]))[0] == pytest.approx(clients * end)
    with pytest.raises(InputError, match=rf"^bits must be at most {bits - 1} for {clients + 1} clients"):
        numbers.check_clients(clients + 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.0000001, -3.0])
def test_numbers_that_cannot_be_encoded_are_named(bad):
    with pytest.raises(InputError, match=rf"^vector must .*got {bad:.6g} at 1"):
        FixedPoint(1.0, 16).encode(np.array([0.5, bad, 0.1]))


@pytest.mark.parametrize(
    ("bound", "bits", "name"),
    [(0, 16, "bound"), (-1, 16, "bound"), (np.nan, 16, "bound"), (1e31, 16, "bound"), ("1", 16, "bound")]
    + [(1, 1, "bits"), (1, 32, "bits"), (1, 16.5, "bits"), (1, True, "bits")],
)
def test_bound_and_bits_out_of_range(bound, bits, name):
    with pytest.raises(InputError, match=f"^{name} must be"):
        FixedPoint(bound, bits)


def test_counts():
    assert encode_counts([0, 3, 7], most=7, num_clients=5).tolist() == [0, 3, 7]
    encode_counts([1], most=2**31 - 1, num_clients=2)
    for wrong in ([-1], [8], [1.5], [np.nan]):
        with pytest.raises(InputError, match="^counts must be whole numbers from 0 to 7"):
            encode_counts(wrong, most=7, num_clients=5)
    with pytest.raises(InputError, match="^most must be at most 2147483647 for 2 clients"):
        encode_counts([1], most=2**31, num_clients=2)

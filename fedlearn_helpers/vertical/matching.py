"""Private set intersection: two parties find the ids that both have, and show each other no other id.

    H(x)  maps an id into a group in which powers commute and roots are hard to find
    A sends H(a)^alpha for its ids a; B sends H(b)^beta for its ids b
    A raises B's values to alpha, B raises A's to beta; both send back what they have raised
    H(a)^(alpha beta) = H(b)^(beta alpha)   if and only if   a = b

Each value that is sent first is in sorted order: powers look random, so their order says nothing about the ids or about
the order in which a party keeps them. What is raised and sent back stays in the order in which it came, so each party
knows which of its own ids is meant. Both then sort what they share by the doubly raised values: row i is the same
patient on both sides, and no message was needed for that.

What a party learns: which of its own ids the other has, and how many ids the other has. Not: the other's remaining ids,
because to test a guess x it would need H(x)^beta, and beta is the other's secret. A server that carries the messages
learns both sizes and how many ids are shared. All are taken to be curious and to do as agreed: nothing here keeps a
party from putting every possible id into its own set.

The group: squares modulo the safe prime P of 2048 bits (RFC 3526, group 14), where (P - 1) / 2 is prime. H expands the
id with SHAKE-256 and squares it. Exponents have 256 bits, eight times as fast as 2048: RFC 7919 asks for at least 225
in its own group of this size. A program for real patients takes a reviewed library, on a curve.

Sources: Meadows 1986, "A more efficient cryptographic matchmaking protocol"; Huberman, Franklin and Hogg 1999,
"Enhancing privacy and trust in electronic communities"; with sorted values, Agrawal, Evfimievski and Srikant 2003,
"Information sharing across private databases".
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.privacy.secure_aggregation.draws import RandomBytes, number_below, system_bytes

PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B"
    "302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6"
    "49286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D"
    "670C354E4ABC9804F1746C08CA18217C32905E462E36CE3BE39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718"
    "3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
    16,
)
VALUE_BYTES = PRIME.bit_length() // 8
EXPONENT_BITS = 256
_DOMAIN = b"fedlearn-helpers patient id"  # so that the same id in another protocol has another value
_SPARE_BYTES = 16  # beyond the prime's size, so that the remainder modulo the prime is as good as uniform


# Ids -------------------------------------------------------------------------------------


def normalized(identifier: str) -> str:
    """Return an id as both parties compare it: NFKC, without any white space, and without case.

    " MRN 0042a" and "mrn0042A" are the same id. Leading zeros count: "42" is another one.

    Raises:
        InputError: no text, or nothing but white space.
    """
    if not isinstance(identifier, str):
        raise InputError(f"ids must be text, got {identifier!r}")
    compared = "".join(unicodedata.normalize("NFKC", identifier).casefold().split())
    if not compared:
        raise InputError(f"ids must have at least one character that is no space, got {identifier!r}")
    return compared


def check_ids(ids: Sequence[str]) -> list[str]:
    """Return ids as they are compared, in the order given; raise an InputError if one is none, or two are the same."""
    owners: dict[str, str] = {}
    for identifier in ids:
        compared = normalized(identifier)
        if compared in owners:
            raise InputError(
                f"ids must have each patient once, got {owners[compared]!r} and {identifier!r}, both {compared!r}"
            )
        owners[compared] = identifier
    return list(owners)


# What is sent ----------------------------------------------------------------------------


def hash_to_group(identifier: str) -> int:
    """Return H(x): a square modulo the prime, which nobody knows as a power of another id's."""
    expanded = hashlib.shake_256(_DOMAIN + b"\0" + normalized(identifier).encode()).digest(VALUE_BYTES + _SPARE_BYTES)
    return pow(int.from_bytes(expanded, "big") % PRIME, 2, PRIME)


def new_exponent(random: RandomBytes = system_bytes) -> int:
    """Return a party's secret, in [1, 2**256]. It is used for one matching, and never sent."""
    return 1 + number_below(2**EXPONENT_BITS, random)


def blind(ids: Sequence[str], exponent: int) -> dict[int, str]:
    """Return H(x)^exponent of a party's ids, sorted by value, with the id each belongs to; only the keys are sent.

    Args:
        ids: the party's own, in any order and spelling; none twice.
        exponent: the party's secret.

    Raises:
        InputError: an id that is none, or the same id twice.
    """
    check_ids(ids)
    values = {pow(hash_to_group(identifier), exponent, PRIME): identifier for identifier in ids}
    return dict(sorted(values.items()))


def blind_again(values: Iterable[int], exponent: int) -> list[int]:
    """Return the other party's values raised to the own secret, in the order in which they came.

    Raises:
        InputError: a value that is none of the group's, or that came twice. 0, 1 and P - 1 would stay what they are.
    """
    values = list(values)
    for value in values:
        if not 1 < value < PRIME - 1:
            raise InputError(f"values must be between 1 and P - 1, got {value if value < 2 else 'one that is larger'}")
    if len(set(values)) < len(values):
        raise InputError(f"values must be different, got {len(values)} with {len(set(values))} different ones")
    return [pow(value, exponent, PRIME) for value in values]


def shared(blinded: dict[int, str], own_twice: Sequence[int], theirs_twice: Sequence[int]) -> list[str]:
    """Return the own ids that the other party has, too, in the order of the doubly raised values.

    Args:
        blinded: what `blind` returned.
        own_twice: what the other party made of its keys, in their order.
        theirs_twice: what this party made of the other's values.

    Raises:
        InputError: not one value for each own id.
    """
    if len(own_twice) != len(blinded):
        raise InputError(f"own_twice must have one value per id ({len(blinded)}), got {len(own_twice)}")
    theirs = set(theirs_twice)
    found = zip(own_twice, blinded.values(), strict=True)
    return [identifier for value, identifier in sorted(found) if value in theirs]


@dataclass(frozen=True)
class Match:
    """What two parties have found, and what was sent.

    Attributes:
        first, second: the ids that both have, as each of them spells them; entry i of both is the same patient.
        sent: what was sent, by name: "first" and "second" are what a party sent of its own ids, "first twice" and
            "second twice" what the other made of it.
    """

    first: list[str]
    second: list[str]
    sent: dict[str, list[int]]

    @property
    def bytes_sent(self) -> int:
        """Bytes of all values in both directions."""
        return VALUE_BYTES * sum(map(len, self.sent.values()))


def match(first: Sequence[str], second: Sequence[str], random: RandomBytes = system_bytes) -> Match:
    """Let two parties find the ids that both have; each step is done by the party that its line names.

    Args:
        first, second: the parties' ids.
        random: where secrets come from; `teaching_bytes(seed)` makes them the same in every run, and **not secret**.

    Raises:
        InputError: an id that is none, or the same id twice in a party.
    """
    alpha, beta = new_exponent(random), new_exponent(random)  # each is known to its party alone
    from_first = blind(first, alpha)
    from_second = blind(second, beta)
    first_twice = blind_again(from_first, beta)  # by the second
    second_twice = blind_again(from_second, alpha)  # by the first
    return Match(
        shared(from_first, first_twice, second_twice),
        shared(from_second, second_twice, first_twice),
        {
            "first": list(from_first),
            "second": list(from_second),
            "first twice": first_twice,
            "second twice": second_twice,
        },
    )


# What does not work ----------------------------------------------------------------------


def hashed(ids: Iterable[str], salt: str = "") -> list[str]:
    """Return SHA-256 of salt and id, in hexadecimal: what is often sent in place of ids, and hides none of them."""
    return [hashlib.sha256(f"{salt}|{normalized(identifier)}".encode()).hexdigest() for identifier in ids]


def guess_hashed_ids(hashes: Iterable[str], candidates: Iterable[str], salt: str = "") -> list[str | None]:
    """Return the id behind each hash: hash every id that there can be, and look it up. None where no candidate fits.

    Ids are few: all numbers of seven digits take seconds. A salt stops those who do not know it. The parties must know
    it to compare their hashes, so it does not stop them.

    Args:
        hashes: what `hashed` returned.
        candidates: all ids that there can be, such as all numbers of so many digits.
        salt: what the guesser knows of it.
    """
    known = {entry: candidate for candidate in candidates for entry in hashed([candidate], salt)}
    return [known.get(entry) for entry in hashes]


# As bytes --------------------------------------------------------------------------------


def to_bytes(values: Iterable[int]) -> bytes:
    """Return values as 256 bytes each."""
    return b"".join(value.to_bytes(VALUE_BYTES, "big") for value in values)


def from_bytes(data: bytes) -> list[int]:
    """Undo `to_bytes`.

    Raises:
        InputError: the data are no such values.
    """
    if len(data) % VALUE_BYTES:
        raise InputError(f"values must have {VALUE_BYTES} bytes each, got {len(data)} bytes")
    return [int.from_bytes(data[start : start + VALUE_BYTES], "big") for start in range(0, len(data), VALUE_BYTES)]

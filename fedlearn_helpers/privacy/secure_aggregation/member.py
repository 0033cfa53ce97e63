"""A member's side of a secure sum: what a client does, and what it refuses.

    0  keys     two key pairs: (c^SK, c^PK) to encrypt shares, (s^SK, s^PK) for pairwise masks
    1  shares   a seed b_u of the self mask; b_u and s_u^SK are split for all members, each share pair encrypted
                for its receiver, since the server carries it
    2  masked   y_u = x_u + PRG(b_u) + sum_v p_{u,v} mod 2^32
    3  reveal   of each v that answered: the share of b_v; of each v that did not: the share of s_v^SK

Who sees both the seed and the key of v can unmask x_v, so a member never reveals shares of both. Two masks, because
of a member who is only late: the server asks for its key, and its vector arrives after all.

Source: Bonawitz et al. 2017, https://eprint.iacr.org/2017/281, figure 4, for a server that is curious and does as
agreed. Signatures and the consistency check, which are for one that lies, are left out.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.privacy.secure_aggregation.draws import RandomBytes, system_bytes
from fedlearn_helpers.privacy.secure_aggregation.errors import TamperedShare, check_enough, check_threshold
from fedlearn_helpers.privacy.secure_aggregation.masks import KEY_BYTES, agree, expand, pairwise_mask, public_key
from fedlearn_helpers.privacy.secure_aggregation.shamir import split
from fedlearn_helpers.privacy.secure_aggregation.wire import (
    NUMBER_BYTES,
    SHARE_BYTES,
    number_bytes,
    pack,
    share_bytes,
    share_of,
    unpack,
)

FOR_SHARES, FOR_MASKS = b"encryption of shares", b"pairwise mask"  # purposes of agreed keys
_NONCE_BYTES, _TAG_BYTES = 12, 16
ENCRYPTED_BYTES = _NONCE_BYTES + 2 * SHARE_BYTES + _TAG_BYTES  # of a pair of shares for one receiver


@dataclass(frozen=True)
class PublicKeys:
    """What a member tells all others.

    Attributes:
        encryption: c^PK, 32 bytes.
        masking: s^PK, 32 bytes.
    """

    encryption: bytes
    masking: bytes

    def to_bytes(self) -> bytes:
        """Return 64 bytes."""
        return self.encryption + self.masking

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Undo `to_bytes`."""
        return cls(data[:KEY_BYTES], data[KEY_BYTES:])


@dataclass(frozen=True)
class Revealed:
    """The shares that a member tells the server in the end.

    Attributes:
        seeds: the share of b_v, by each member v that sent its masked vector.
        keys: the share of s_v^SK, by each that did not.
    """

    seeds: dict[int, int]
    keys: dict[int, int]


class Member:
    """One member in one secure sum: each of its steps can be taken once, in the order in which they stand here.

    Args:
        number: u, its own number, which no other member has; from 0, below 2**64.
        threshold: t, how many members must answer in every step, >= 2.
        random: where its secrets come from.

    Attributes:
        step: the last one that it has taken.

    Raises:
        InputError: an argument out of range.
    """

    def __init__(self, number: int, threshold: int, random: RandomBytes = system_bytes) -> None:
        self.number = check_whole_number("number", number, 0)
        if self.number >= 2 ** (8 * NUMBER_BYTES):
            raise InputError(f"number must be below 2**{8 * NUMBER_BYTES}, got {number}")
        self.threshold = check_whole_number("threshold", threshold, 2)
        self.step = "start"
        self._random = random
        self._encryption_key, self._masking_key, self._seed = (random(KEY_BYTES) for _ in range(3))
        self._keys: dict[int, PublicKeys] = {}  # of all members that shall share, this one's included
        self._held: dict[int, bytes] = {}  # by member: its pair of shares that this one holds

    def advertise(self) -> PublicKeys:
        """Step 0: return the public keys."""
        self._take("advertise", after="start")
        return self._public_keys()

    def share(self, keys: Mapping[int, PublicKeys]) -> dict[int, bytes]:
        """Step 1: return, for every other member, the shares that are for it, encrypted.

        Args:
            keys: of all members that advertised some, this one's included.

        Raises:
            TooFewMembers: fewer than the threshold.
            InputError: the threshold is not more than half of them, or their keys are not their own.
        """
        self._take("share", after="advertise")
        check_enough("share secrets", len(keys), self.threshold)
        check_threshold(self.threshold, len(keys))
        every_key = [key for pair in keys.values() for key in (pair.encryption, pair.masking)]
        if keys.get(self.number) != self._public_keys() or len(set(every_key)) < len(every_key):
            raise InputError(f"keys must have those of member {self.number} as it has sent them, and no key twice")
        self._keys = dict(keys)
        holders = [number + 1 for number in keys]  # 0 is where the secret is
        of_seed, of_key = (
            split(with_digest(secret), holders, self.threshold, self._random)
            for secret in (self._seed, self._masking_key)
        )
        pairs = {number: share_bytes(of_seed[number + 1]) + share_bytes(of_key[number + 1]) for number in keys}
        self._held = {self.number: pairs.pop(self.number)}
        return {number: self._encrypt(number, pair) for number, pair in pairs.items()}

    def receive(self, encrypted: Mapping[int, bytes]) -> None:
        """Keep the shares that other members have sent; from now on, members are those whose shares have come.

        Args:
            encrypted: by sender.

        Raises:
            TooFewMembers: with this one, fewer than the threshold.
            TamperedShare: one cannot be decrypted: it is not what its sender wrote for this member.
        """
        self._take("receive", after="share")
        check_enough("mask vectors", len({*encrypted, self.number}), self.threshold)
        if strangers := sorted({*encrypted} - {*self._keys} | {*encrypted} & {self.number}):
            raise InputError(f"encrypted must be shares of other members, got some of {strangers[0]}")
        self._held |= {number: self._decrypt(number, data) for number, data in encrypted.items()}

    def mask(self, vector: np.ndarray) -> np.ndarray:
        """Step 2: return y_u, the masked vector: (n,) uint32.

        Args:
            vector: x_u, (n,) uint32.

        Raises:
            InputError: another dtype or shape.
        """
        check_vector("vector", vector)
        self._take("mask", after="receive")
        masked = vector + expand(self._seed, len(vector))
        for number in self._held:
            if number != self.number:
                key = agree(self._masking_key, self._keys[number].masking, FOR_MASKS)
                masked += pairwise_mask(self.number, number, key, len(vector))
        return masked

    def reveal(self, survivors: Collection[int]) -> Revealed:
        """Step 3: return the shares by which the server removes the masks, one kind for each member.

        Args:
            survivors: the members whose masked vectors have come, this one included; the others have dropped out.

        Raises:
            TooFewMembers: fewer than the threshold.
            InputError: this member has revealed shares before, or the survivors are not members or not this one.
        """
        check_enough("unmask", len(set(survivors)), self.threshold)
        if self.number not in survivors or not set(survivors) <= set(self._held):
            raise InputError(
                f"survivors must be members whose shares member {self.number} has, itself included, "
                f"got {sorted(survivors)}"
            )
        self._take("reveal", after="mask")
        seeds, keys = {}, {}
        for number, pair in self._held.items():
            if number in survivors:
                seeds[number] = share_of(pair[:SHARE_BYTES])
            else:
                keys[number] = share_of(pair[SHARE_BYTES:])
        return Revealed(seeds, keys)

    def state(self) -> dict[str, Any]:
        """Return all that the member must keep until its next step: numbers, texts and bytes. These are its secrets."""
        return {
            "number": self.number,
            "threshold": self.threshold,
            "step": self.step,
            "encryption-key": self._encryption_key,
            "masking-key": self._masking_key,
            "seed": self._seed,
            "keys": pack({number: keys.to_bytes() for number, keys in self._keys.items()}),
            "held": pack(self._held),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], random: RandomBytes = system_bytes) -> Self:
        """Return the member that had this state."""
        member = cls(state["number"], state["threshold"], random)
        member.step = state["step"]
        member._encryption_key, member._masking_key = state["encryption-key"], state["masking-key"]
        member._seed = state["seed"]
        keys = unpack(state["keys"], 2 * KEY_BYTES)
        member._keys = {number: PublicKeys.from_bytes(data) for number, data in keys.items()}
        member._held = unpack(state["held"], 2 * SHARE_BYTES)
        return member

    def _public_keys(self) -> PublicKeys:
        return PublicKeys(public_key(self._encryption_key), public_key(self._masking_key))

    def _take(self, step: str, *, after: str) -> None:
        """Take a step: once, so that no mask is used for two vectors, and nothing is revealed twice."""
        if self.step != after:
            raise InputError(
                f"member {self.number} must {step} once, after its step {after!r}; its last step was {self.step!r}"
            )
        self.step = step

    def _encrypt(self, receiver: int, pair: bytes) -> bytes:
        nonce = self._random(_NONCE_BYTES)
        return nonce + self._cipher(receiver).encrypt(nonce, pair, number_bytes(self.number) + number_bytes(receiver))

    def _decrypt(self, sender: int, data: bytes) -> bytes:
        nonce, rest = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
        try:
            return self._cipher(sender).decrypt(nonce, rest, number_bytes(sender) + number_bytes(self.number))
        except (InvalidTag, ValueError):
            raise TamperedShare(
                f"the shares of member {sender} for member {self.number} cannot be decrypted: they have been changed"
            ) from None

    def _cipher(self, other: int) -> AESGCM:
        return AESGCM(agree(self._encryption_key, self._keys[other].encryption, FOR_SHARES))


def with_digest(secret: bytes) -> int:
    """Return 32 bytes and their SHA-256 as one number of 64 bytes, so that it shows if a share of it was changed."""
    return int.from_bytes(secret + hashlib.sha256(secret).digest(), "little")


def without_digest(number: int) -> bytes | None:
    """Undo `with_digest`; None for a number that it cannot have returned."""
    secret = (number & (2 ** (8 * KEY_BYTES) - 1)).to_bytes(KEY_BYTES, "little")
    return secret if with_digest(secret) == number else None


def check_vector(name: str, vector: np.ndarray) -> None:
    """Check that something can be masked.

    Raises:
        InputError: it is not a vector of uint32.
    """
    if not isinstance(vector, np.ndarray) or vector.dtype != np.uint32 or vector.ndim != 1:
        got = f"{vector.dtype} {vector.shape}" if isinstance(vector, np.ndarray) else repr(type(vector).__name__)
        raise InputError(f"{name} must be an array of shape (n,) and dtype uint32, got {got}")

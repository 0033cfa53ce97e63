"""The server's side of a secure sum: it carries keys and shares, adds masked vectors, and removes the masks' sum.

    sum of x_u over the survivors = sum of y_u  -  PRG(b_u) of each survivor u
                                                -  p_{u,v} of each survivor u and each dropped-out member v

Pairwise masks of two survivors have cancelled. b_u and s_v^SK are combined of the shares that members reveal.

Source: Bonawitz et al. 2017, https://eprint.iacr.org/2017/281, figure 4.
"""

from collections.abc import Mapping

import numpy as np

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.privacy.secure_aggregation.errors import TamperedShare, check_enough
from fedlearn_helpers.privacy.secure_aggregation.masks import agree, expand, pairwise_mask
from fedlearn_helpers.privacy.secure_aggregation.member import (
    FOR_MASKS,
    PublicKeys,
    Revealed,
    check_vector,
    without_digest,
)
from fedlearn_helpers.privacy.secure_aggregation.shamir import combine


class Server:
    """The server in one secure sum. Its steps stand here in their order; each is given what the members answered.

    Args:
        threshold: how many members must answer in every step, >= 2.

    Attributes:
        masked: the masked vectors by member, after `collect_masked`: all that the server sees of the vectors.

    Raises:
        InputError: a threshold below 2.
    """

    def __init__(self, threshold: int) -> None:
        self.threshold = check_whole_number("threshold", threshold, 2)
        self.masked: dict[int, np.ndarray] = {}
        self._keys: dict[int, PublicKeys] = {}
        self._sharers: set[int] = set()

    def collect_keys(self, keys: Mapping[int, PublicKeys]) -> dict[int, PublicKeys]:
        """Step 0: return the public keys, for all members that advertised some.

        Raises:
            TooFewMembers: fewer than the threshold.
        """
        check_enough("share secrets", len(keys), self.threshold)
        self._keys = dict(keys)
        return self._keys

    def collect_shares(self, encrypted: Mapping[int, Mapping[int, bytes]]) -> dict[int, dict[int, bytes]]:
        """Step 1: return the encrypted shares by receiver and then sender, for all members that sent some.

        Args:
            encrypted: by sender and then receiver.

        Raises:
            TooFewMembers: fewer than the threshold.
        """
        check_enough("mask vectors", len(encrypted), self.threshold)
        self._sharers = set(encrypted)
        return {
            receiver: {sender: shares[receiver] for sender, shares in encrypted.items() if sender != receiver}
            for receiver in encrypted
        }

    def collect_masked(self, masked: Mapping[int, np.ndarray]) -> list[int]:
        """Step 2: return the survivors, who are asked to reveal shares.

        Args:
            masked: (n,) uint32, by member.

        Raises:
            TooFewMembers: fewer than the threshold.
            InputError: vectors of different lengths, or of who is no member.
        """
        check_enough("unmask", len(masked), self.threshold)
        for number, vector in masked.items():
            check_vector(f"masked vector of member {number}", vector)
        if len({len(vector) for vector in masked.values()}) > 1 or not set(masked) <= self._sharers:
            raise InputError("masked vectors must be of members, and of one length")
        self.masked = dict(masked)
        return sorted(masked)

    def unmask(self, revealed: Mapping[int, Revealed]) -> np.ndarray:
        """Step 3: return the sum of the survivors' vectors modulo 2^32: (n,) uint32.

        Args:
            revealed: by member; at least as many as the threshold.

        Raises:
            TooFewMembers: fewer.
            TamperedShare: shares that do not fit together.
        """
        check_enough("unmask", len(revealed), self.threshold)
        survivors, dropped = sorted(self.masked), sorted(self._sharers - set(self.masked))
        total = np.zeros_like(self.masked[survivors[0]])
        for vector in self.masked.values():
            total += vector  # modulo 2^32
        for u in survivors:
            seed = self._combined(u, {number: shares.seeds[u] for number, shares in revealed.items()})
            total -= expand(seed, len(total))
        for v in dropped:
            key = self._combined(v, {number: shares.keys[v] for number, shares in revealed.items()})
            for u in survivors:
                agreed = agree(key, self._keys[u].masking, FOR_MASKS)
                total -= pairwise_mask(u, v, agreed, len(total))
        return total

    def _combined(self, owner: int, shares: Mapping[int, int]) -> bytes:
        secret = without_digest(combine({number + 1: share for number, share in shares.items()}))
        if secret is None:
            raise TamperedShare(f"the shares of a secret of member {owner} do not fit together: one has been changed")
        return secret

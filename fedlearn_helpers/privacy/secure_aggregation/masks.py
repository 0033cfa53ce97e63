"""Masks: vectors of numbers modulo 2^32 that look random, and that two members can make without sending them.

    k_{u,v} = HKDF(X25519(secret key of u, public key of v)) = k_{v,u}       the same at both ends
    PRG(k)  = the bytes of AES-256 in counter mode under k, as uint32
    p_{u,v} = +PRG(k_{u,v}) where u > v, -PRG(k_{u,v}) where u < v           so p_{u,v} + p_{v,u} = 0 mod 2^32

Source: Bonawitz et al. 2017, https://eprint.iacr.org/2017/281, sections 3 and 4. X25519 is RFC 7748, HKDF is RFC 5869.
"""

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32  # of secret keys, public keys, agreed keys and seeds


def public_key(secret_key: bytes) -> bytes:
    """Return the public key, 32 bytes, of a secret key: any 32 random bytes."""
    return X25519PrivateKey.from_private_bytes(secret_key).public_key().public_bytes_raw()


def agree(secret_key: bytes, other_public_key: bytes, purpose: bytes) -> bytes:
    """Return the key, 32 bytes, that the owners of two key pairs have in common, and nobody else.

    Args:
        secret_key: of one of them.
        other_public_key: of the other one.
        purpose: each gives another key.
    """
    shared = X25519PrivateKey.from_private_bytes(secret_key).exchange(
        X25519PublicKey.from_public_bytes(other_public_key)
    )
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(shared)


def expand(seed: bytes, size: int) -> np.ndarray:
    """Return PRG(seed): (size,) uint32.

    Args:
        seed: 32 bytes, for one mask: twice the same seed is twice the same mask.
        size: >= 0.
    """
    encryptor = Cipher(AES256(seed), CTR(bytes(16))).encryptor()
    return np.frombuffer(encryptor.update(bytes(4 * size)), "<u4").astype(np.uint32, copy=False)


def pairwise_mask(own: int, other: int, key: bytes, size: int) -> np.ndarray:
    """Return p_{u,v} for u = own, v = other: (size,) uint32.

    Args:
        own, other: numbers of two different members.
        key: that they have agreed on.
        size: >= 0.
    """
    mask = expand(key, size)
    return mask if own > other else np.negative(mask)  # modulo 2^32

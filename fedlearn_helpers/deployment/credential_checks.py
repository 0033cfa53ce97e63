"""Whether keys and certificates fit together and count now, in sentences that name the file."""

import base64
import datetime
import hashlib
import ipaddress
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key, load_ssh_public_key

from fedlearn_helpers.deployment import credentials as made
from fedlearn_helpers.deployment.credentials import Credentials, public_key_of
from fedlearn_helpers.errors import InputError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_credentials(credentials: Credentials, *, hosts: Sequence[str] = ("127.0.0.1",)) -> None:
    """Check all files before anything is started with them: each mistake would be a connection that fails.

    Args:
        credentials: where the files are.
        hosts: by which nodes reach the server.

    Raises:
        InputError: a file is missing, cannot be read, belongs to nothing else here, or is open to others; a
            certificate does not count at this machine's time, or does not name a host.
    """
    ca, certificate = _certificate(credentials.ca), _certificate(credentials.certificate)
    for path, found in ((credentials.ca, ca), (credentials.certificate, certificate)):
        _check_time(path, found)
    _check_signature(credentials, ca, certificate)
    _check_private(credentials.key)
    content = _read(credentials.key)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InputError(f"the server's key must be a private key in PEM, got {str(credentials.key)!r}") from None
    if key.public_key() != certificate.public_key():
        raise InputError(
            f"the server's key must belong to its certificate {credentials.certificate.name}, "
            f"got {str(credentials.key)!r}"
        )
    _check_hosts(credentials.certificate, certificate, hosts)
    for node in credentials.nodes:
        check_node_key(node)


def check_node_key(path: Path) -> None:
    """Check the key pair of a node.

    Raises:
        InputError: a file is missing, is no such key, is open to others, or the two are no pair.
    """
    _check_private(path)
    content = _read(path)
    try:
        private = load_ssh_private_key(content, password=None)
        fits = isinstance(private, ec.EllipticCurvePrivateKey)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        fits = False
    if not fits:
        raise InputError(f"a node's key must be an elliptic curve's private key in OpenSSH's form, got {str(path)!r}")
    beside = public_key_of(path)
    if private.public_key() != check_public_key(beside):
        raise InputError(f"a node's public key must belong to the private key {path.name}, got {str(beside)!r}")


def check_public_key(path: Path) -> Any:
    """Check the public key of a node, and return it.

    Raises:
        InputError: the file is missing, or it is no such key.
    """
    content = _read(path)
    try:
        return load_ssh_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"a node's public key must be in OpenSSH's form, got {str(path)!r}") from None


def fingerprint(public_key: Path) -> str:
    """Return the fingerprint of a node's public key, as `ssh-keygen -l` shows it, to be compared by telephone.

    Raises:
        InputError: it is no such key.
    """
    check_public_key(public_key)
    digest = hashlib.sha256(base64.b64decode(_read(public_key).split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"a file of the credentials cannot be read ({error.strerror}): {str(path)!r}") from None


def _certificate(path: Path) -> x509.Certificate:
    content = _read(path)
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError:
        raise InputError(f"a certificate must be in PEM, got {str(path)!r}") from None


def _check_time(path: Path, certificate: x509.Certificate) -> None:
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    clock = made.now()
    if clock < since:
        raise InputError(
            f"the certificate {str(path)!r} counts from {_minutes(since)} on, and this machine's clock says "
            f"{_minutes(clock)}: one of the clocks is wrong, or the certificate is for later"
        )
    if clock > until:
        raise InputError(
            f"the certificate {str(path)!r} expired at {_minutes(until)}, and this machine's clock says "
            f"{_minutes(clock)}: make new credentials, or set the clock"
        )


def _minutes(time: datetime.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _check_signature(credentials: Credentials, ca: x509.Certificate, certificate: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        raise InputError(
            f"the server's certificate must be signed by the authority {credentials.ca.name}, "
            f"got {str(credentials.certificate)!r}"
        ) from None


def _check_hosts(path: Path, certificate: x509.Certificate, hosts: Sequence[str]) -> None:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    except x509.ExtensionNotFound:
        known = []
    for host in hosts:
        if _plain(host) not in known:
            raise InputError(
                f"the server's certificate must name the host {host!r}, "
                f"got {str(path)!r} for {', '.join(known) or 'none'}"
            )


def _plain(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def _check_private(path: Path) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise InputError(f"a file of the credentials cannot be read ({error.strerror}): {str(path)!r}") from None
    if mode & _OTHERS:
        raise InputError(
            f"a private key must be readable by its owner alone (chmod 600), got {str(path)!r} "
            f"with mode {stat.S_IMODE(mode):o}"
        )

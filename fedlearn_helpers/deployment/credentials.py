"""Keys and certificates of a federation: who the server is, and who may be a node.

TLS. The nodes trust one authority. It signs the server's certificate, which names the hosts that the server answers
for: a node that reaches another machine, or the right one with another certificate, ends the connection (RFC 5280).

Authentication. Each node has a key pair of its own, on the curve P-384. The server is told the public keys beforehand;
a node signs what it sends with the private key, which never leaves its machine.

The private key of the authority could sign a second server, so it is not written down unless it is asked for.
"""

import datetime
import ipaddress
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fedlearn_helpers.errors import InputError, check_whole_number

LOOPBACK = ("localhost", "127.0.0.1")
_EARLIER = datetime.timedelta(minutes=5)  # a certificate counts from then on: clocks differ a little
_OWNER_READS_AND_WRITES = 0o600


@dataclass(frozen=True)
class Credentials:
    """Where the files are; none of them is read, so that no key can stand in a message or in a notebook.

    Attributes:
        ca: certificate of the authority, which all machines have.
        certificate: the server's certificate, on the server.
        key: its private key, on the server alone.
        nodes: private key of each node, by partition id, each on its node alone; the public key is beside it, .pub.
    """

    ca: Path
    certificate: Path
    key: Path
    nodes: tuple[Path, ...]


def make_credentials(
    folder: Path, num_nodes: int, *, hosts: Sequence[str] = (), days: int = 30, keep_ca_key: bool = False
) -> Credentials:
    """Make an authority, a server's certificate and the nodes' key pairs.

    All files are readable by their owner alone, from the first moment on, and so is the folder.

    Args:
        folder: new, or empty; it is there completely or not at all.
        num_nodes: number of key pairs, >= 0.
        hosts: names and addresses by which nodes reach the server, in addition to localhost and 127.0.0.1.
        days: how long the certificates count, >= 1.
        keep_ca_key: whether the authority's private key is kept, as ca.key.

    Raises:
        InputError: a value that cannot work, or a folder with something in it.
    """
    num_nodes = check_whole_number("num_nodes", num_nodes, 0)
    days = check_whole_number("days", days, 1)
    names = [_name_of(host) for host in dict.fromkeys([*LOOPBACK, *hosts])]
    folder = Path(folder).resolve()
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"folder must be new or empty, got {str(folder)!r}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder.parent) as name:
        made = Path(name) / "credentials"
        made.mkdir(mode=0o700)
        _write_authority(made, names, days, keep_ca_key)
        for node in range(num_nodes):
            make_node_key(made / f"node{node}")
        os.replace(made, folder)
    return Credentials(
        ca=folder / "ca.crt",
        certificate=folder / "server.pem",
        key=folder / "server.key",
        nodes=tuple(folder / f"node{node}" for node in range(num_nodes)),
    )


def make_node_key(path: Path) -> Path:
    """Make the key pair of a node, at home: only the public half is for others.

    Args:
        path: of the private key, new; its folder must exist.

    Returns:
        Where the public key is.

    Raises:
        InputError: there is a file already.
    """
    key = ec.generate_private_key(ec.SECP384R1())
    for file in (path, public_key_of(path)):
        if os.path.lexists(file):
            raise InputError(f"path must be new, and this file is there already: {str(file)!r}")
    _write(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    _write(public_key_of(path), key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n")
    return public_key_of(path)


def now() -> datetime.datetime:
    """Return the time of this machine's clock, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def public_key_of(private_key: Path) -> Path:
    """Return where the public key of a node is: beside its private key."""
    return private_key.with_name(f"{private_key.name}.pub")


def _name_of(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host.encode("idna").decode("ascii")) if _is_host_name(host) else _refuse(host)
    except UnicodeError:
        return _refuse(host)


def _is_host_name(host: str) -> bool:
    return bool(host) and not any(letter.isspace() or letter in ":/@," for letter in host)


def _refuse(host: str) -> x509.GeneralName:
    raise InputError(f"hosts must be names or addresses of machines, without a port, got {host!r}")


def _write_authority(folder: Path, names: Sequence[x509.GeneralName], days: int, keep_ca_key: bool) -> None:
    """Write the authority's certificate, and the server's key and certificate."""
    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = (
        _certificate("federation's authority", ca_key.public_key(), ca_key, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    server = (
        _certificate("federation's server", server_key.public_key(), ca_key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    _write(folder / "ca.crt", ca.public_bytes(Encoding.PEM))
    _write(folder / "server.pem", server.public_bytes(Encoding.PEM))
    _write(folder / "server.key", server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    if keep_ca_key:
        _write(folder / "ca.key", ca_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _certificate(
    subject: str, key: ec.EllipticCurvePublicKey, ca_key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    """Return what the two certificates have in common."""
    since = now() - _EARLIER
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(subject))
        .issuer_name(_subject("federation's authority"))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_READS_AND_WRITES)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)

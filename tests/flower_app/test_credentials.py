"""Keys and certificates: who may read them, and every way in which they cannot work."""

import dataclasses
import datetime
import os
import ssl
import stat

import pytest
from cryptography import x509

from fedlearn_helpers.deployment import check_credentials, make_credentials
from fedlearn_helpers.deployment import credentials as module
from fedlearn_helpers.errors import InputError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files have owners here")
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_credentials(tmp_path_factory.mktemp("keys") / "made", 2, hosts=["hospital.example", "10.1.2.3"])


@pytest.fixture
def fresh(tmp_path):
    return make_credentials(tmp_path / "fresh", 1)


def sentence_of(credentials, **options):
    with pytest.raises(InputError) as caught:
        check_credentials(credentials, **options)
    return str(caught.value)


def test_they_are_accepted_for_their_hosts(made):
    check_credentials(made, hosts=["127.0.0.1", "localhost", "hospital.example", "10.1.2.3"])


def test_all_is_for_the_owner_alone_and_the_authoritys_key_is_not_kept(made):
    folder = made.ca.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir()} == {
        "ca.crt", "server.pem", "server.key", "node0", "node0.pub", "node1", "node1.pub",
    }  # fmt: skip
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_no_file_is_ever_open_to_others(tmp_path, monkeypatch):
    """Whatever the umask, as each file is opened."""
    modes = []
    before = os.umask(0)
    real = os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda file, mode: modes.append(os.fstat(file).st_mode) or real(file, mode))
    try:
        make_credentials(tmp_path / "open", 1, keep_ca_key=True)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(mode) for mode in modes} == {0o600} and len(modes) == 6


def test_the_authoritys_key_is_kept_if_asked(tmp_path):
    assert (make_credentials(tmp_path / "kept", 0, keep_ca_key=True).ca.parent / "ca.key").exists()


def test_neither_repr_nor_str_shows_a_key(made):
    shown = repr(made) + str(made)
    for path in (made.key, *made.nodes):
        assert not any(line in shown for line in path.read_text().splitlines() if line)


def test_a_node_accepts_the_server_and_refuses_another(made, fresh):
    """A handshake in memory, with Python's own TLS."""

    def handshake(server, ca, host):
        near, far = ssl.MemoryBIO(), ssl.MemoryBIO()
        at_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        at_server.load_cert_chain(server.certificate, server.key)
        at_node = ssl.create_default_context(cafile=str(ca))
        at_node.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
        ends = [
            at_node.wrap_bio(near, far, server_hostname=host),
            at_server.wrap_bio(far, near, server_side=True),
        ]
        for _ in range(4):
            for end in ends:
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        return ends[0].version()

    assert handshake(made, made.ca, "hospital.example") == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made, fresh.ca, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made, made.ca, "other.example")


# What cannot work -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ca", "certificate", "key"])
def test_a_file_that_is_missing(fresh, name):
    path = getattr(fresh, name)
    path.unlink()
    assert sentence_of(fresh) == (
        f"a file of the credentials cannot be read (No such file or directory): {str(path)!r}"
    )


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read all")
def test_a_file_that_cannot_be_read(fresh):
    fresh.certificate.chmod(0)
    assert "Permission denied" in sentence_of(fresh) and str(fresh.certificate) in sentence_of(fresh)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("ca", "a certificate must be in PEM, got "),
        ("certificate", "a certificate must be in PEM, got "),
        ("key", "the server's key must be a private key in PEM, got "),
    ],
)
def test_a_file_with_something_else_in_it(fresh, name, start):
    getattr(fresh, name).write_text("nonsense")
    assert sentence_of(fresh) == f"{start}{str(getattr(fresh, name))!r}"


@pytest.mark.parametrize(("private", "named"), [(True, "node0"), (False, "node0.pub")])
def test_a_nodes_key_with_something_else_in_it(fresh, private, named):
    path = fresh.nodes[0] if private else module.public_key_of(fresh.nodes[0])
    path.write_text("nonsense")
    assert sentence_of(fresh).endswith(f"in OpenSSH's form, got {str(path)!r}") and path.name == named


def test_a_nodes_keys_that_are_no_pair(fresh, made):
    public = module.public_key_of(fresh.nodes[0])
    public.write_text(module.public_key_of(made.nodes[0]).read_text())
    assert sentence_of(fresh) == f"a node's public key must belong to the private key node0, got {str(public)!r}"


def test_a_clock_that_is_a_day_late(fresh, monkeypatch):
    since = x509.load_pem_x509_certificate(fresh.ca.read_bytes()).not_valid_before_utc
    clock = since - DAY
    monkeypatch.setattr(module, "now", lambda: clock)
    assert sentence_of(fresh) == (
        f"the certificate {str(fresh.ca)!r} counts from {since:%Y-%m-%d %H:%M} UTC on, and this machine's clock says "
        f"{clock:%Y-%m-%d %H:%M} UTC: one of the clocks is wrong, or the certificate is for later"
    )


def test_an_expired_certificate(tmp_path, monkeypatch):
    made_at = module.now() - 2 * DAY
    with monkeypatch.context() as earlier:
        earlier.setattr(module, "now", lambda: made_at)
        old = make_credentials(tmp_path / "old", 0, days=1)
    sentence = sentence_of(old)
    assert sentence.startswith(f"the certificate {str(old.ca)!r} expired at {made_at + DAY:%Y-%m-%d} ")
    assert f"this machine's clock says {module.now():%Y-%m-%d}" in sentence


def test_days_are_counted_to_the_minute(tmp_path, monkeypatch):
    made = make_credentials(tmp_path / "made", 0, days=1)
    until = x509.load_pem_x509_certificate(made.certificate.read_bytes()).not_valid_after_utc
    monkeypatch.setattr(module, "now", lambda: until - datetime.timedelta(minutes=1))
    check_credentials(made)
    monkeypatch.setattr(module, "now", lambda: until + datetime.timedelta(minutes=1))
    assert "expired" in sentence_of(made)


def test_a_certificate_of_another_authority(fresh, made):
    mixed = dataclasses.replace(fresh, ca=made.ca)
    assert sentence_of(mixed) == (
        f"the server's certificate must be signed by the authority ca.crt, got {str(fresh.certificate)!r}"
    )


def test_a_key_of_another_certificate(fresh, made):
    mixed = dataclasses.replace(fresh, key=made.key)
    assert sentence_of(mixed) == f"the server's key must belong to its certificate server.pem, got {str(made.key)!r}"


def test_a_host_that_the_certificate_does_not_name(fresh):
    assert sentence_of(fresh, hosts=["10.0.0.1"]) == (
        f"the server's certificate must name the host '10.0.0.1', got {str(fresh.certificate)!r} "
        "for localhost, 127.0.0.1"
    )


@pytest.mark.parametrize("which", ["server", "node"])
def test_a_private_key_that_others_can_read(fresh, which):
    path = fresh.key if which == "server" else fresh.nodes[0]
    path.chmod(0o640)
    assert sentence_of(fresh) == (
        f"a private key must be readable by its owner alone (chmod 600), got {str(path)!r} with mode 640"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num_nodes": -1}, "num_nodes must be a whole number >= 0, got -1"),
        ({"days": 0}, "days must be a whole number >= 1, got 0"),
        ({"hosts": ["host:443"]}, "hosts must be names or addresses of machines, without a port, got 'host:443'"),
        ({"hosts": [""]}, "hosts must be names or addresses of machines, without a port, got ''"),
        ({"hosts": ["a" * 80]}, f"hosts must be names or addresses of machines, without a port, got {'a' * 80!r}"),
    ],
)
def test_arguments_are_checked_before_anything_is_written(tmp_path, options, sentence):
    with pytest.raises(InputError) as caught:
        make_credentials(tmp_path / "new", **{"num_nodes": 1} | options)
    assert str(caught.value) == sentence
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InputError, match="^folder must be new or empty, got"):
        make_credentials(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_empty_folder_that_others_can_read_is_closed_to_them(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir(mode=0o755)
    make_credentials(folder, 0)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700

"""TLS of the client: certificates are verified, by an own CA too, and it shows its own where one is asked for."""

import contextlib
import ssl
import threading

import pytest
import trustme

from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import ConfigurationError, SockudoConnectionError
from tests.support.parts import need

pytestmark = pytest.mark.integration

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.fixture(autouse=True)
def no_bundles(monkeypatch):
    """The environment of the machine does not reach the tests."""
    for name in ("https_proxy", "HTTPS_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A CA, its file, a client certificate in one file and in two, and one whose key has a password."""
    directory = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(directory / "ca.pem"))
    ours = ca.issue_cert("publisher.example")
    ours.private_key_and_cert_chain_pem.write_to_path(str(directory / "both.pem"))
    ours.cert_chain_pems[0].write_to_path(str(directory / "cert.pem"))
    ours.private_key_pem.write_to_path(str(directory / "key.pem"))
    return ca, directory


def server(peer, ca, directory, *, asks=False):
    """A peer with a certificate of that CA; ``asks``: it takes only clients that have one too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    shown = []
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(directory / "ca.pem")

    def answer(server, connection):
        shown.append(connection.getpeercert())
        if server.read_request(connection):
            connection.sendall(OK)

    return peer(answer, wrap=lambda connection: context.wrap_socket(connection, server_side=True)), shown


def client(peer, **options):
    return Sockudo("app", "k", "the-secret", host="127.0.0.1", port=peer.port, use_tls=True, **options)


def test_certificate_is_verified_by_default(peer, authority):
    """A stranger's is refused before anything is sent, and not tried again: it would be the same."""
    listening, _ = server(peer, *authority)
    with pytest.raises(SockudoConnectionError, match="TLS certificate not accepted") as caught:
        client(listening).trigger("c", "e", 1)
    assert (caught.value.sent, caught.value.permanent, caught.value.attempts) == (False, True, 1)
    assert listening.requests == []


@pytest.mark.parametrize("directory", [False, True], ids=["file", "directory"])
def test_own_ca(peer, authority, tmp_path, directory):
    """``verify`` is its file, or a directory as OpenSSL has them; the environment's bundle then does not count."""
    _, files = authority
    listening, _ = server(peer, *authority)
    path = files / "ca.pem"
    if directory:
        hashed = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        hashed.load_verify_locations(path)
        # The name that OpenSSL looks for is the hash of the subject: made by its own tool where there is one.
        name = subject_hash(path)
        (tmp_path / f"{name}.0").write_bytes(path.read_bytes())
        path = tmp_path
    assert client(listening, verify=str(path)).trigger("c", "e", 1) == {}
    assert client(listening, verify=path).trigger("c", "e", 1) == {}


def subject_hash(path):
    import subprocess

    program = need("openssl")
    return subprocess.run(
        [program, "x509", "-subject_hash", "-noout", "-in", str(path)], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize("form", ["one file", "two files"])
def test_client_certificate(peer, authority, form):
    """In one file with its key, or in two; the server sees whose it is."""
    ca, files = authority
    listening, shown = server(peer, ca, files, asks=True)
    cert = files / "both.pem" if form == "one file" else (str(files / "cert.pem"), str(files / "key.pem"))
    assert client(listening, verify=files / "ca.pem", cert=cert).trigger("c", "e", 1) == {}
    assert ("DNS", "publisher.example") in shown[0]["subjectAltName"]


def test_server_that_asks_for_a_certificate_gets_nothing_without(peer, authority):
    """No success, and no request read."""
    ca, files = authority
    listening, _ = server(peer, ca, files, asks=True)
    with pytest.raises(SockudoConnectionError):
        client(listening, verify=files / "ca.pem", retries=None).trigger("c", "e", 1)
    assert listening.requests == []


def test_key_with_a_password_is_refused_without_a_prompt(authority, tmp_path):
    """OpenSSL would stop the process there and wait."""
    from cryptography.hazmat.primitives import serialization

    _, files = authority
    key = serialization.load_pem_private_key((files / "key.pem").read_bytes(), password=None)
    locked = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"hush")
    )
    (tmp_path / "locked.pem").write_bytes(locked)
    done = []

    def construct():
        with contextlib.suppress(ConfigurationError):
            Sockudo("a", "k", "s", use_tls=True, cert=(str(files / "cert.pem"), str(tmp_path / "locked.pem")))
            return
        done.append(True)

    thread = threading.Thread(target=construct, daemon=True)
    thread.start()
    thread.join(30)
    assert done == [True]

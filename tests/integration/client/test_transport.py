"""One HTTP attempt against peers that misbehave: bounded in time, sent at most once, honest about `sent`."""

import contextlib
import gc
import os
import socket
import ssl
import struct
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import requests
import trustme
from urllib3.util import Retry

from sockudo_publisher.client.http.transport import Bounds, Transport
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import (
    AuthFailed,
    BadStatus,
    ConfigurationError,
    Forbidden,
    RateLimited,
    ServerError,
    SockudoConnectionError,
    SockudoHTTPError,
)
from tests.support.parts import need_module, not_for_this_case

pytestmark = pytest.mark.integration

#: Seconds of the attempts that fail here, and what a busy machine may add to them.
TIMEOUT = 0.5
SLACK = 4.0
#: Seconds of those that succeed: never the reason why one does not.
PATIENCE = 60.0

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\nX-Padding: " + b"x" * 60 + b"\r\n\r\n"


def answer_ok(server, connection):
    """Answer one request and close, as Sockudo does."""
    server.read_request(connection)
    connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """The environment of whoever runs the tests has no say in them."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A CA of our own; its bundle and a server context for 127.0.0.1."""
    ca = trustme.CA()
    bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return bundle, lambda connection: context.wrap_socket(connection, server_side=True)


@pytest.fixture(params=["http", "https"])
def start(request, peer, authority, monkeypatch):
    """``start(handle)``: a peer and a transport to it, plain and over TLS."""
    bundle, wrap = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))

    def begin(handle, **options):
        server = peer(handle, **({"wrap": wrap} if request.param == "https" else {}), **options)
        return server, Transport(f"{request.param}://127.0.0.1:{server.port}")

    return begin


def post(transport, body=b"{}", timeout=PATIENCE, **options):
    return transport.request("POST", "/apps/a/events", query="auth_key=hush", body=body, timeout=timeout, **options)


def failure(transport, *, sent, timeout=TIMEOUT, within=None, **options):
    """The error of one POST, which must come in time and say whether it was sent."""
    started = time.monotonic()
    with pytest.raises(SockudoConnectionError) as caught:
        post(transport, timeout=timeout, **options)
    took = time.monotonic() - started
    within = timeout + SLACK if within is None else within
    assert took < within, f"took {took:.2f} s"
    assert caught.value.sent is sent, str(caught.value)
    assert "hush" not in str(caught.value)
    # The exceptions of requests hold the URL, with key and signature: none is carried along.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


def test_answer_of_any_status_is_returned(start):
    """Success or not is for the caller to judge; headers are found in any case."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy")

    _, transport = start(handle)
    answer = post(transport)
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (503, b"busy", "7")


def test_request_arrives_byte_by_byte_as_given(start):
    """Path and query unchanged, dots and escapes included; no header but the expected ones."""
    server, transport = start(answer_ok)
    transport.request(
        "POST",
        "/apps/a%20b/channels/../history",
        query="x=a+b%2Bc&auth_signature=1",
        body=b'{"a":1}',
        headers={"Content-Type": "application/json", "X-Idempotency-Key": "k"},
        timeout=5,
    )
    head, _, body = server.requests[0][1].partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert line == "POST /apps/a%20b/channels/../history?x=a+b%2Bc&auth_signature=1 HTTP/1.1"
    assert body == b'{"a":1}'
    names = sorted(header.split(":")[0].lower() for header in headers)
    assert names == ["accept-encoding", "content-length", "content-type", "host", "user-agent", "x-idempotency-key"]


def test_get_has_no_body(start):
    """Nor a Content-Length."""
    server, transport = start(answer_ok)
    transport.request("GET", "/apps/a/channels", query="", timeout=5)
    head, _, body = server.requests[0][1].partition(b"\r\n\r\n")
    assert head.startswith(b"GET /apps/a/channels HTTP/1.1\r\n")
    assert b"content-length" not in head.lower()
    assert body == b""


@pytest.mark.parametrize(
    "framing", [b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"\r\nabcde"]
)
def test_bodies_without_a_length(start, framing):
    """Chunked, or until the connection ends."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + framing)

    _, transport = start(handle)
    assert post(transport).body == b"abcde"


def test_drip_in_the_head(start):
    """A byte every 0.1 s resets a read timeout, and does not stretch the attempt."""

    def handle(server, connection):
        server.read_request(connection)
        server.drip(connection, HEAD)

    server, transport = start(handle)
    error = failure(transport, sent=True)
    assert "no complete answer within 0.5 s" in str(error)
    assert len(server.requests) == 1


def test_drip_in_the_body(start):
    """Nor does a drip after the head came at once."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(HEAD)
        server.drip(connection, b"x" * 60)

    _, transport = start(handle)
    failure(transport, sent=True)


def test_drip_in_the_length_of_a_chunk(start):
    """Nor one within the framing."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        server.drip(connection, b"0" * 60)

    _, transport = start(handle)
    failure(transport, sent=True)


def test_endless_interim_answers(start):
    """100 Continue again and again is no answer."""

    def handle(server, connection):
        server.read_request(connection)
        while not server.stopping.wait(0.05):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    _, transport = start(handle)
    failure(transport, sent=True)


HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </x.css>; rel=preload\r\n\r\n"
INFORMATIONAL = {
    "103": HINT,
    "102": b"HTTP/1.1 102 Processing\r\n\r\n",
    "199, of no name": b"HTTP/1.1 199\r\nX: y\r\n\r\n",
    "100 and 103": b"HTTP/1.1 100 Continue\r\n\r\n" + HINT,
    "103 and 100": HINT + b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n",
    "several": HINT * 5 + b"HTTP/1.1 102 Processing\r\n\r\n" + HINT,
}


def hinting(before, *, pause=0.0, final=OK):
    """A peer that keeps its connections and says something before each answer."""

    def handle(server, connection):
        number = 0
        while server.read_request(connection):
            number += 1
            connection.sendall(before)
            time.sleep(pause)
            connection.sendall(final.replace(b"{}", b"%02d" % number))

    return handle


@pytest.mark.parametrize("before", INFORMATIONAL.values(), ids=INFORMATIONAL)
def test_informational_answers_are_passed_over(start, before):
    """The final one is the answer to this request, not to the next, and its headers are its own."""
    server, transport = start(hinting(before))
    for number in range(1, 4):
        answer = post(transport, timeout=5)
        assert (answer.status, answer.body) == (200, b"%02d" % number)
        assert "link" not in answer.headers
    assert (server.connections, len(server.requests)) == (1, 3)


@pytest.mark.parametrize("final", [b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.0 200 OK\r\n\r\n{}"])
def test_final_answer_of_any_kind_follows_a_hint(start, final):
    """Of any status, with a length or to the end of the connection."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(HINT)
        time.sleep(0.05)
        connection.sendall(final)

    _, transport = start(handle)
    answer = post(transport, timeout=5)
    assert (answer.status, answer.body) == (int(final[9:12]), b"{}")


@pytest.mark.parametrize(
    "before",
    [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", HINT * 40, HINT],
    ids=["101", "too many", "none follows"],
)
def test_informational_answer_alone_proves_nothing(start, before):
    """The request has left; what became of it is unknown."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(before)
        connection.shutdown(socket.SHUT_WR) if before != HINT else server.stopping.wait(5)

    _, transport = start(handle)
    failure(transport, sent=True, timeout=TIMEOUT)


@pytest.mark.parametrize("answer", [HINT, b"HTTP/1.1 102 Processing\r\n\r\n"], ids=["103", "102"])
def test_endless_informational_answers(start, answer):
    """However slowly they come, the attempt ends with its deadline."""

    def handle(server, connection):
        server.read_request(connection)
        while not server.stopping.wait(0.05):
            connection.sendall(answer)

    _, transport = start(handle)
    failure(transport, sent=True)


def test_no_answer(start):
    """Silence ends with the attempt."""

    def handle(server, connection):
        server.read_request(connection)
        server.stopping.wait(10)

    _, transport = start(handle)
    failure(transport, sent=True)


def test_peer_that_stops_reading(start):
    """A large body that nobody takes."""
    _, transport = start(lambda server, connection: server.stopping.wait(10))
    failure(transport, sent=True, body=b"x" * 32_000_000)


def test_peer_that_reads_in_drips(start):
    """Or that takes it slowly."""

    def handle(server, connection):
        while not server.stopping.wait(0.05):
            connection.recv(1000)

    _, transport = start(handle)
    failure(transport, sent=True, body=b"x" * 32_000_000)


def test_reset_after_the_request(start):
    """The server had it all: unknown."""

    def handle(server, connection):
        server.read_request(connection)
        reset(connection)

    server, transport = start(handle)
    failure(transport, sent=True)
    assert len(server.requests) == 1


def test_close_without_an_answer(start):
    """Unknown as well."""
    server, transport = start(lambda server, connection: server.read_request(connection))
    failure(transport, sent=True)
    assert len(server.requests) == 1


def test_body_cut_short(start):
    """Fewer bytes than the head promised are no answer."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{}")

    _, transport = start(handle)
    failure(transport, sent=True)


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9.0\r\n", b"\x15\x03\x01\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\r\n\r\n"]
)
def test_what_is_not_http(start, answer):
    """Someone else listens there."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(answer)

    _, transport = start(handle)
    failure(transport, sent=True)


def test_answer_over_the_cap(start):
    """An endless answer does not fill the memory."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"x" * 10_000)

    _, transport = start(handle)
    error = failure(transport, sent=True, timeout=5, bounds=Bounds(100_000))
    assert "a body of more than 100000 bytes" in str(error)


def test_early_answer_while_the_body_is_being_sent(start):
    """A 413 that comes before the body was read is the answer."""

    def handle(server, connection):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        server.stopping.wait(0.3)
        while connection.recv(65_536):
            pass

    _, transport = start(handle)
    assert post(transport, body=b"x" * 8_000_000, timeout=5).status == 413


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_answers(start, peer, status):
    """Followed, a POST would become a GET that publishes nothing and answers 200."""
    elsewhere = peer(answer_ok)

    def handle(server, connection):
        server.read_request(connection)
        location = f"http://127.0.0.1:{elsewhere.port}/x"
        connection.sendall(f"HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())

    server, transport = start(handle)
    assert post(transport).status == status
    assert (len(server.requests), elsewhere.connections) == (1, 0)


def test_a_kept_alive_connection_is_used_again(start):
    """Where a proxy allows it; Sockudo itself closes each."""

    def handle(server, connection):
        while server.read_request(connection):
            connection.sendall(OK)

    server, transport = start(handle)
    for _ in range(3):
        assert post(transport).status == 200
    assert (server.connections, len(server.requests)) == (1, 3)


def test_a_kept_alive_connection_that_was_closed_is_replaced(start):
    """Seen to be closed before anything is sent: a new one, and one copy of the request."""
    closed = threading.Event()

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(OK)
        connection.close()
        closed.set()

    server, transport = start(handle)
    assert post(transport).status == 200
    assert closed.wait(5)
    time.sleep(0.5)  # for the FIN to arrive; else this test would be the next one
    assert post(transport, timeout=5).status == 200
    assert (server.connections, len(server.requests)) == (2, 2)


def test_a_kept_alive_connection_that_dies_under_the_request_is_not_tried_again(start):
    """It may have been read: unknown, and no second copy."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(OK)
        server.read_request(connection)
        reset(connection)

    server, transport = start(handle)
    assert post(transport).status == 200
    failure(transport, sent=True)
    assert (server.connections, len(server.requests)) == (1, 2)


def test_close_ends_the_connection_after_a_failure_too(peer):
    """At once: the traceback of a failed attempt is a circle, which holds the session until it is collected."""
    ended = threading.Event()

    def handle(server, connection):
        server.read_request(connection)
        if len(server.requests) > 1:
            connection.sendall(OK)
            server.read_request(connection)
            ended.set()

    server = peer(handle)
    transport = Transport(f"http://127.0.0.1:{server.port}")
    gc.disable()
    try:
        failure(transport, sent=True)
        assert post(transport, timeout=5).status == 200
        transport.close()
        assert ended.wait(8)
    finally:
        gc.enable()


def test_the_transport_works_on_after_a_failure(start):
    """A failed attempt leaves nothing behind."""

    def handle(server, connection):
        server.read_request(connection)
        if len(server.requests) > 1:
            connection.sendall(OK)

    _, transport = start(handle)
    failure(transport, sent=True)
    assert post(transport).status == 200


def test_refused():
    """Nobody listens: not sent."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = failure(Transport(f"http://127.0.0.1:{port}"), sent=False)
    assert "Connection refused (not sent)" in str(error)


@contextlib.contextmanager
def silent_address(host, port=0):
    """An address that answers a connect with nothing, as a host that is down does: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        while True:  # fill it
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.2)
            try:
                filler.connect(listener.getsockname())
            except TimeoutError:
                break
        yield listener.getsockname()[1]


def test_connect_that_is_never_accepted():
    """Not sent, in time."""
    with silent_address("127.0.0.1") as port:
        failure(Transport(f"http://127.0.0.1:{port}"), sent=False)


def test_unknown_host(monkeypatch):
    """Not sent."""
    look_up = socket.getaddrinfo

    def fail(host, *args, **kwargs):
        if kwargs.get("flags"):
            return look_up(host, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert "host not found" in str(failure(Transport("http://nowhere.invalid:1"), sent=False))


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".invalid", "\u2603" * 60])
def test_host_that_no_resolver_takes(host):
    """Too long or empty labels: not sent, and no UnicodeError."""
    failure(Transport(f"http://{host}:1"), sent=False)


def test_lookup_that_hangs(monkeypatch):
    """A resolver without answer is part of the attempt: not sent, in time."""
    look_up, free = socket.getaddrinfo, threading.Event()

    def hang(host, *args, **kwargs):
        if not kwargs.get("flags"):
            free.wait(10)
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        failure(Transport("http://localhost:1"), sent=False)
    finally:
        free.set()


@pytest.mark.parametrize("first", [contextlib.nullcontext, silent_address], ids=["refuses", "silent"])
def test_second_address_of_a_name(peer, monkeypatch, first):
    """A host whose first address refuses, or says nothing, is reached by its second."""
    server = peer(answer_ok)
    look_up = socket.getaddrinfo

    def two(host, port, *args, **kwargs):
        if host == "two.invalid" and not kwargs.get("flags"):
            return look_up("127.0.0.2", port, *args, **kwargs) + look_up("127.0.0.1", port, *args, **kwargs)
        return look_up(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with first("127.0.0.2", server.port) if first is silent_address else first():
        assert post(Transport(f"http://two.invalid:{server.port}"), timeout=2).status == 200


def test_ipv6(peer):
    """An address in brackets."""
    try:
        server = peer(answer_ok, host="::1")
    except OSError:
        not_for_this_case("no IPv6 on this machine")
    client = Sockudo.from_url(f"http://k:s@[::1]:{server.port}/apps/a")
    assert client.trigger("c", "e", "x") == {}
    assert f"Host: [::1]:{server.port}".encode() in server.requests[0][1]


def test_certificate_not_trusted(peer, authority, monkeypatch):
    """Not sent: the handshake comes before the request."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    server = peer(answer_ok, wrap=authority[1])
    error = failure(Transport(f"https://127.0.0.1:{server.port}"), sent=False, timeout=30, within=30)
    assert "TLS certificate not accepted" in str(error)
    assert server.requests == []


def test_certificate_of_another_host(peer, authority, monkeypatch):
    """Not sent either."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[0]))
    server = peer(answer_ok, wrap=authority[1])
    monkeypatch.setattr(socket, "getaddrinfo", answering_with_loopback())
    failure(Transport(f"https://other.invalid:{server.port}"), sent=False, timeout=30, within=30)
    assert server.requests == []


def answering_with_loopback():
    look_up = socket.getaddrinfo

    def answer(host, port, *args, **kwargs):
        return look_up(
            "127.0.0.1" if host == "other.invalid" and not kwargs.get("flags") else host, port, *args, **kwargs
        )

    return answer


def test_tls_to_a_server_without(peer):
    """Not sent."""

    def handle(server, connection):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    failure(Transport(f"https://127.0.0.1:{peer(handle).port}"), sent=False)


def test_handshake_that_hangs(peer):
    """Not sent, in time."""
    server = peer(lambda server, connection: server.stopping.wait(10))
    failure(Transport(f"https://127.0.0.1:{server.port}"), sent=False)


def test_handshake_that_drips(peer):
    """Not sent, in time: bytes of a handshake record that never ends."""
    server = peer(lambda server, connection: server.drip(connection, b"\x16\x03\x03\x3f\xff\x02" + b"\x00" * 60))
    failure(Transport(f"https://127.0.0.1:{server.port}"), sent=False)


def test_ca_bundle_that_is_not_there(monkeypatch):
    """A setting, found out at the start."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent/ca.pem")
    with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE"):
        Transport("https://127.0.0.1:1")


def reset(connection):
    """Close with a RST, over TLS too."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# The environment


def test_proxy_of_the_environment_is_looked_up_once(peer, monkeypatch):
    """Through the proxy with the whole URL; what the variables say later changes nothing."""
    proxy = peer(answer_ok)
    monkeypatch.setenv("http_proxy", f"http://user:word@127.0.0.1:{proxy.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    transport = Transport("http://sockudo.invalid:6001")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert post(transport).status == 200
    request = proxy.requests[0][1]
    assert request.startswith(b"POST http://sockudo.invalid:6001/apps/a/events?auth_key=hush HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjp3b3Jk" in request


def test_no_proxy_of_the_environment(peer, monkeypatch):
    """Straight to a host that is excepted."""
    server = peer(answer_ok)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert post(Transport(f"http://127.0.0.1:{server.port}")).status == 200


def test_proxy_that_refuses(monkeypatch):
    """Not sent."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "")
    failure(Transport("http://sockudo.invalid:6001"), sent=False)


def test_tunnel_through_a_proxy(peer, authority, monkeypatch):
    """https goes through CONNECT; the deadline and the certificate hold inside."""
    server = peer(answer_ok, wrap=authority[1])

    def tunnel(proxy, connection):
        proxy.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with socket.create_connection(("127.0.0.1", server.port)) as onward:
            threading.Thread(target=pump, args=(onward, connection), daemon=True).start()
            pump(connection, onward)

    proxy = peer(tunnel)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[0]))
    monkeypatch.setattr(socket, "getaddrinfo", answering_with_loopback())
    assert post(Transport(f"https://localhost:{server.port}"), timeout=5).status == 200
    assert proxy.requests[0][1].startswith(f"CONNECT localhost:{server.port} ".encode())
    assert len(server.requests) == 1


def test_tunnel_opens_behind_a_hint(peer, authority, monkeypatch):
    """What a proxy says before its answer is passed over, too."""
    server = peer(answer_ok, wrap=authority[1])

    def tunnel(proxy, connection):
        proxy.read_request(connection)
        connection.sendall(HINT + b"HTTP/1.1 200 Connected\r\n\r\n")
        with socket.create_connection(("127.0.0.1", server.port)) as onward:
            threading.Thread(target=pump, args=(onward, connection), daemon=True).start()
            pump(connection, onward)

    proxy = peer(tunnel)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[0]))
    monkeypatch.setattr(socket, "getaddrinfo", answering_with_loopback())
    assert post(Transport(f"https://localhost:{server.port}"), timeout=5).status == 200


# Python 3.10's http.client leaves the answer of a tunnel that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 407 Who are you\r\n\r\n", b"HTTP/1.1 200 Connected\r\nX: " + b"x" * 90, b""]
)
def test_tunnel_that_does_not_open(peer, monkeypatch, answer):
    """Refused, dripping or closed: what went to the proxy was not the request, so not sent."""

    def handle(proxy, connection):
        proxy.read_request(connection)
        proxy.drip(connection, answer, 0.01 if b"407" in answer else 0.1)

    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{peer(handle).port}")
    monkeypatch.setenv("no_proxy", "")
    failure(Transport("https://sockudo.invalid:443"), sent=False)
    gc.collect()


def test_handshake_that_hangs_behind_a_slow_tunnel(peer, monkeypatch):
    """Each step has what the one before has left: not sent, in time."""

    def handle(proxy, connection):
        proxy.read_request(connection)
        if not proxy.stopping.wait(1.8):
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        proxy.stopping.wait(10)

    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{peer(handle).port}")
    failure(Transport("https://sockudo.invalid:443"), sent=False, timeout=2)


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def test_netrc_is_not_read(peer, monkeypatch, tmp_path):
    """Sockudo knows no Authorization header, and the file would be read at each request."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login hush password hush\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = peer(answer_ok)
    post(Transport(f"http://127.0.0.1:{server.port}"))
    assert b"authorization" not in server.requests[0][1].lower()


# Threads and processes


def test_each_thread_has_a_connection_of_its_own(peer):
    """Kept alive, none is shared."""

    def handle(server, connection):
        while server.read_request(connection):
            connection.sendall(OK)

    server = peer(handle)
    transport = Transport(f"http://127.0.0.1:{server.port}")
    barrier = threading.Barrier(4)
    ports = []

    def work():
        for number in range(5):
            barrier.wait(10)
            body = f"{threading.get_ident()} {number}".encode()
            assert post(transport, body=body, timeout=5).status == 200
        barrier.wait(10)
        ports.append(threading.get_ident())
        transport.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (len(ports), server.connections, len(server.requests)) == (4, 4, 20)
    by_port = {}
    for port, request in server.requests:
        by_port.setdefault(port, set()).add(request.partition(b"\r\n\r\n")[2].split()[0])
    assert all(len(senders) == 1 for senders in by_port.values())


FORK = """
    import os, sys
    from sockudo_publisher.client.sockudo import Sockudo
    client = Sockudo.from_url(sys.argv[1])
    client.trigger("c", "parent-1", "x")
    pid = os.fork()
    if pid == 0:
        for n in range(3):
            client.trigger("c", "child", "x")
        client.close()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
    client.trigger("c", "parent-2", "x")
    client.close()
"""


def run_python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        timeout=60,
        check=True,
        cwd=os.getcwd(),
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )


def test_parent_and_child_send_after_fork(peer, authority, monkeypatch):
    """The child connects anew, and the parent's kept-alive connection survives the child; plain and over TLS."""

    def handle(server, connection):
        while server.read_request(connection):
            connection.sendall(OK)

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[0]))
    for scheme, options in (("http", {}), ("https", {"wrap": authority[1]})):
        server = peer(handle, **options)
        run_python(FORK, f"{scheme}://k:s@127.0.0.1:{server.port}/apps/a")
        ports = {name: {port for port, request in server.requests if name in request} for name in (b"parent", b"child")}
        assert len(server.requests) == 5
        assert (len(ports[b"parent"]), len(ports[b"child"])) == (1, 1)
        assert ports[b"parent"].isdisjoint(ports[b"child"])


GEVENT = """
    from gevent import monkey; monkey.patch_all()
    import sys, time, gevent
    from sockudo_publisher.client.sockudo import Sockudo
    from sockudo_publisher.errors import SockudoConnectionError
    client = Sockudo.from_url(sys.argv[1], timeout=3.0)
    def one(n):
        try:
            client.trigger("c", "e", "x")
        except SockudoConnectionError as error:
            assert error.sent is True, error
            return "timeout"
        return "ok"
    started = time.monotonic()
    jobs = [gevent.spawn(one, n) for n in range(8)]
    gevent.joinall(jobs, raise_error=True)
    assert time.monotonic() - started < 20  # one after the other, eight of them would take the peer's patience each
    assert sorted(job.value for job in jobs) == ["ok"] * 7 + ["timeout"], [job.value for job in jobs]
"""


def test_greenlets_have_deadlines_of_their_own(peer, authority, monkeypatch):
    """Eight at once in one thread, one of which is never answered; plain and over TLS."""
    need_module("gevent")

    def handle(server, connection):
        server.read_request(connection)
        if len(server.requests) == 4:
            server.stopping.wait(10)
        connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[0]))
    for scheme, options in (("http", {}), ("https", {"wrap": authority[1]})):
        server = peer(handle, **options)
        run_python(GEVENT, f"{scheme}://k:s@127.0.0.1:{server.port}/apps/a")
        assert len(server.requests) == 8


# The caller's own session


def with_session(port, session, scheme="http"):
    return Transport(f"{scheme}://127.0.0.1:{port}", session=session)


def test_own_session_is_used_as_it_is(peer):
    """Its headers, hooks, cookies and auth; the signed URL stays as it was signed."""
    server = peer(answer_ok)
    seen = []
    with requests.Session() as session:
        session.headers["User-Agent"] = "theirs"
        session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
        session.cookies["c"] = "1"
        session.auth = ("user", "word")
        answer = with_session(server.port, session).request(
            "POST", "/apps/a/channels/../x%7Ey", query="b=%7E", body=b"{}", headers={"X-Ours": "1"}, timeout=5
        )
    request = server.requests[0][1]
    assert answer.body == b"{}"
    assert seen == [200]
    assert request.startswith(b"POST /apps/a/channels/../x%7Ey?b=%7E HTTP/1.1\r\n")
    for header in (b"User-Agent: theirs", b"X-Ours: 1", b"Cookie: c=1", b"Authorization: Basic "):
        assert header in request


def test_own_session_with_its_proxy_and_its_ca(peer, authority):
    """Proxies and verification are those of the session."""
    proxy = peer(answer_ok)
    with requests.Session() as session:
        session.trust_env = False
        session.proxies["http"] = f"http://127.0.0.1:{proxy.port}"
        assert post(Transport("http://sockudo.invalid:1", session=session)).status == 200
        server = peer(answer_ok, wrap=authority[1])
        failure(with_session(server.port, session, "https"), sent=False, timeout=30, within=30)
        session.verify = str(authority[0])
        assert post(with_session(server.port, session, "https"), timeout=5).status == 200


@pytest.mark.parametrize("before", INFORMATIONAL.values(), ids=INFORMATIONAL)
def test_own_session_passes_over_informational_answers(peer, before):
    """As ours do."""
    server = peer(hinting(before, pause=0.02))
    with requests.Session() as session:
        transport = with_session(server.port, session)
        for number in range(1, 4):
            answer = post(transport, timeout=5)
            assert (answer.status, answer.body) == (200, b"%02d" % number)
    assert len(server.requests) == 3


@pytest.mark.parametrize("before", [b"HTTP/1.1 101 Switching Protocols\r\n\r\n", HINT * 40], ids=["101", "too many"])
def test_own_session_is_told_of_an_answer_that_is_none(peer, before):
    """And the answer behind it is not taken for that to the next request."""
    server = peer(hinting(before))
    with requests.Session() as session:
        for _ in range(2):
            failure(with_session(server.port, session), sent=True)
    assert len(server.requests) == 2


def test_own_session_whose_hook_reads_sees_no_hint(peer):
    """A hook that reads the first answer would lose the final one."""
    server = peer(hinting(HINT))
    seen = []
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
        for _ in range(2):
            assert post(with_session(server.port, session)).status == 200
    assert seen == [200, 200]


class TakesHints(requests.adapters.BaseAdapter):
    """Connections of another library, which answer with the first answer that comes."""

    def __init__(self):
        super().__init__()
        self.closed = 0

    def send(self, request, **_options):
        response = requests.Response()
        response.status_code, response._content, response.request = 103, b"", request
        return response

    def close(self):
        self.closed += 1


def test_hint_in_place_of_an_answer_is_no_answer():
    """What became of the request is not known, and the connection is not used again."""
    adapter = TakesHints()
    with requests.Session() as session:
        session.mount("http://", adapter)
        failure(with_session(1, session), sent=True)
        assert adapter.closed == 1


def test_own_session_whose_hook_read_the_body(peer):
    """What it read is the answer."""
    server = peer(answer_ok)
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, **_: response.content and None)
        assert post(with_session(server.port, session)).body == b"{}"


def test_own_adapter_is_asked(monkeypatch):
    """Any adapter will do, as tests and platforms mount them."""
    asked = []

    class Adapter(requests.adapters.BaseAdapter):
        def send(self, request, **options):
            asked.append((request.url, options["stream"], options["timeout"]))
            response = requests.Response()
            response.status_code, response._content = 200, b'{"channels":{}}'
            return response

        def close(self):
            pass

    with requests.Session() as session:
        session.mount("http://", Adapter())
        client = Sockudo("a", "k", "s", session=session, timeout=3)
        assert client.trigger("c", "e", "x") == {"channels": {}}
    (url, stream, timeout), *_ = asked
    assert url.startswith("http://127.0.0.1:6001/apps/a/events?auth_key=k&")
    assert (stream, timeout) == (True, (3, 3))


def test_own_session_has_its_body_bounded_in_time(peer):
    """Connect and each read by its timeouts, the body by the attempt's."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(HEAD)
        server.drip(connection, b"x" * 60)

    with requests.Session() as session:
        failure(with_session(peer(handle).port, session), sent=True)


def test_own_session_does_not_follow_redirects(peer):
    """A POST that becomes a GET publishes nothing."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 302 X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    server = peer(handle)
    with requests.Session() as session:
        assert post(with_session(server.port, session)).status == 302
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", [b"http://[", b"http://x\xff\xfe/", b"//", b"http://a:b/", b"\xff", b"/elsewhere", b"http://[::1]:1/"]
)
def test_own_session_takes_a_redirect_to_anywhere_as_an_answer(peer, status, location):
    """requests works out the next request though none is asked for, and raises where there is no URL."""

    def handle(server, connection):
        server.read_request(connection)
        head = b"HTTP/1.1 %d X\r\nLocation: %b\r\nSet-Cookie: seen=1\r\nRetry-After: 3\r\n" % (status, location)
        connection.sendall(head + b"Content-Length: 5\r\nConnection: close\r\n\r\nmoved")

    server = peer(handle)
    seen = []
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, **_: seen.append("location" in response.headers))
        client = Sockudo("a", "k", "s", port=server.port, session=session)
        with pytest.raises(BadStatus) as caught:
            client.trigger("c", "e", "x")
        assert session.cookies["seen"] == "1"
    assert (caught.value.status, caught.value.message, caught.value.retry_after) == (status, "moved", 3.0)
    assert (caught.value.sent, caught.value.attempts) == (True, 1)
    assert seen == [True], "their hooks come first"
    assert len(server.requests) == 1


@pytest.mark.parametrize("head", [b"302 X\r\nLocation: /x", b"200 OK", b"503 No"])
def test_own_session_has_the_body_of_any_answer_bounded_in_size(peer, head):
    """A redirect's too, which requests would read to its end."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 " + head + b"\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"x" * 10_000)

    with requests.Session() as session:
        error = failure(with_session(peer(handle).port, session), sent=True, timeout=5, bounds=Bounds(100_000))
    assert "a body of more than 100000 bytes" in str(error)


def test_own_session_has_the_body_of_a_redirect_bounded_in_time(peer):
    """Dripping, it resets the timeout of each read."""

    def handle(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 302 X\r\nLocation: /x\r\nContent-Length: 60\r\n\r\n")
        server.drip(connection, b"x" * 60)

    with requests.Session() as session:
        failure(with_session(peer(handle).port, session), sent=True)


def raise_for_status(response, **_):
    """What many put into the hooks of their session."""
    response.raise_for_status()


REFUSED = {
    "429": (b"429 No", b'{"error":"slow","message":"down"}', RateLimited, None, False),
    "401": (b"401 No", b'{"error":"no","code":"auth_failed","status":401}', AuthFailed, "auth_failed", False),
    "403": (b"403 No", b'{"error":"no","code":"ai_event_not_permitted"}', Forbidden, "ai_event_not_permitted", False),
    "503": (b"503 No", b'{"error":"busy","code":"draining"}', ServerError, "draining", False),
    "500": (b"500 No", b"", ServerError, None, True),
}


@pytest.mark.parametrize("read_first", [False, True], ids=["unread", "read by a hook"])
@pytest.mark.parametrize(("status", "body", "kind", "code", "sent"), REFUSED.values(), ids=REFUSED.keys())
def test_own_session_whose_hook_raises_for_status(peer, status, body, kind, code, sent, read_first):
    """It has the answer in it, with status, code and Retry-After."""

    def handle(server, connection):
        server.read_request(connection)
        head = b"HTTP/1.1 %b\r\nRetry-After: 7\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        connection.sendall(head % (status, len(body)) + body)

    with requests.Session() as session:
        if read_first:
            session.hooks["response"].append(lambda response, **_: response if response.content else None)
        session.hooks["response"].append(raise_for_status)
        client = Sockudo("a", "the-key", "s", port=peer(handle).port, session=session, retries=None)
        with pytest.raises(SockudoHTTPError) as caught:
            client.trigger("c", "e", "x")
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.retry_after, error.sent) == (int(status[:3]), code, 7.0, sent)
    assert "the-key" not in repr(error) + str(error)
    assert error.__cause__ is error.__context__ is None


def test_own_session_whose_hook_raises_for_status_is_tried_again(peer):
    """As without the hook: what was answered before anything was published, after the time that was asked for."""

    def handle(server, connection):
        server.read_request(connection)
        if len(server.requests) == 1:
            connection.sendall(b"HTTP/1.1 429 No\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            connection.sendall(OK)

    server = peer(handle)
    with requests.Session() as session:
        session.hooks["response"].append(raise_for_status)
        assert Sockudo("a", "k", "s", port=server.port, session=session).trigger("c", "e", "x") == {}
    assert len(server.requests) == 2


def test_own_session_whose_hook_fails_at_something_else(peer):
    """A 401 of somebody else's must not say that our event, which is out, was never sent."""
    server = peer(answer_ok)

    def refuse(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    elsewhere = peer(refuse)

    def ask_elsewhere(response, **_):
        requests.get(f"http://127.0.0.1:{elsewhere.port}/", timeout=5).raise_for_status()

    with requests.Session() as session:
        session.hooks["response"].append(ask_elsewhere)
        failure(with_session(server.port, session), sent=True)

    def veto(response, **_):
        raise requests.HTTPError("no", response=response)

    with requests.Session() as session:  # a success that a hook does not like is no success
        session.hooks["response"].append(veto)
        failure(with_session(server.port, session), sent=True)


def test_own_session_with_digest_authentication(peer):
    """A hook of requests' own that sends a second request; what it brings is what is read."""

    def handle(server, connection):
        if b"\r\nAuthorization: Digest " in server.read_request(connection):
            connection.sendall(
                b"HTTP/1.1 302 X\r\nLocation: http://[\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
            )
        else:
            challenge = b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\nContent-Length: 0\r\n'
            connection.sendall(b"HTTP/1.1 401 X\r\n" + challenge + b"Connection: close\r\n\r\n")

    with requests.Session() as session:
        session.auth = requests.auth.HTTPDigestAuth("user", "word")
        assert post(with_session(peer(handle).port, session)).status == 302


def test_own_session_tells_sent_from_not_sent(peer):
    """Refused is not sent; silence and a reset are unknown."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    def cut(server, connection):
        server.read_request(connection)
        reset(connection)

    def silent(server, connection):
        server.read_request(connection)
        server.stopping.wait(10)

    with requests.Session() as session:
        failure(with_session(port, session), sent=False)
        failure(with_session(peer(cut).port, session), sent=True)
        failure(with_session(peer(silent).port, session), sent=True)


def test_own_session_that_resends_by_itself_is_never_trusted_with_not_sent(peer):
    """The last of its attempts was refused; an earlier one may have been read."""

    def handle(server, connection):
        server.read_request(connection)
        server.listener.close()
        reset(connection)

    server = peer(handle)
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=Retry(2, allowed_methods=None)))
        failure(with_session(server.port, session), sent=True, timeout=2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with requests.Session() as session:  # connects only are tried again: POST is not among its methods
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=2))
        failure(with_session(port, session), sent=False)


def test_a_failure_being_handled_does_not_colour_the_next(peer):
    """The exception that the caller is handling is not part of ours."""

    def handle(server, connection):
        server.read_request(connection)

    server = peer(handle)
    with requests.Session() as session:
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except ConnectionRefusedError:
            with pytest.raises(SockudoConnectionError) as caught:
                post(with_session(server.port, session))
    assert caught.value.sent is True


# Through the client


def test_client_raises_the_error_of_the_status(peer):
    """With the server's code and words, and the signed query of a proxy's page left out."""

    def handle(server, connection):
        line = server.read_request(connection).split(b"\r\n")[0]
        page = b"<html>cannot serve " + line + b" sorry"
        connection.sendall(b"HTTP/1.1 502 X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(page), page))

    client = Sockudo("a", "the-key", "the-secret", port=peer(handle).port)
    with pytest.raises(SockudoHTTPError) as caught:
        client.trigger("c", "e", "x")
    assert "sorry" in str(caught.value)
    assert "the-key" not in repr(caught.value) + str(caught.value)


def test_headers_of_the_client(peer):
    """JSON, the library, and the idempotency key on /events only."""
    server = peer(answer_ok)
    client = Sockudo("a", "k", "s", port=server.port)
    client.trigger("c", "e", "x", idempotency_key="key 1")
    client.trigger("c", "e", "x", idempotency_key=True)
    client.trigger_batch([{"channel": "c", "name": "e", "data": "x", "idempotency_key": True}])
    client.trigger("c", "e", "x", idempotency_key=False)
    first, second, batch, without = (request for _, request in server.requests)
    assert b"Content-Type: application/json\r\n" in first
    assert b"X-Pusher-Library: sockudo-publisher " in first
    assert b"X-Idempotency-Key: key 1\r\n" in first
    assert b'"idempotency_key":"key 1"' in first
    made = second.split(b"X-Idempotency-Key: ")[1].split(b"\r\n")[0]
    assert len(made) == 32
    assert b'"idempotency_key":"' + made in second
    assert b"X-Idempotency-Key" not in batch
    assert b'"idempotency_key":"' in batch
    assert b"dempotency" not in without


def test_time_of_one_call_may_differ(peer):
    """send(timeout=…) overrides the client's."""
    server = peer(lambda server, connection: server.stopping.wait(10))
    client = Sockudo("a", "k", "s", port=server.port, timeout=60)
    started = time.monotonic()
    with pytest.raises(SockudoConnectionError):
        client.send("POST", "/batch_events", body=b"{}", timeout=0.3)
    assert time.monotonic() - started < 0.3 + SLACK

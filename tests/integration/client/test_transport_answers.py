"""One HTTP attempt against peers that answer badly: bounded in time, sent at most once, honest about `sent`."""

import contextlib
import gc
import socket
import threading
import time

import pytest
import requests

from sockudo_publisher.client.http.transport import Bounds, Transport
from sockudo_publisher.client.sockudo import Sockudo
from sockudo_publisher.errors import (
    SockudoConnectionError,
    SockudoHTTPError,
)
from tests.integration.client.attempts import (
    HEAD,
    HINT,
    INFORMATIONAL,
    OK,
    SLACK,
    TIMEOUT,
    answer_ok,
    failure,
    hinting,
    post,
    reset,
    with_session,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_proxies")]


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
    """The request has left; its outcome is unknown."""

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
    """A large body that the server does not read."""
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
    """Another program listens there."""

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


def test_connection_that_dies_under_the_request_is_not_retried(start):
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


def test_a_failure_being_handled_does_not_colour_the_next(peer):
    """The exception that the caller is handling is not part of our error."""

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


def test_client_raises_the_error_of_the_status(peer):
    """With the server's code and text, and the signed query of a proxy's page left out."""

    def handle(server, connection):
        line = server.read_request(connection).split(b"\r\n")[0]
        page = b"<html>cannot serve " + line + b" sorry"
        connection.sendall(b"HTTP/1.1 502 X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(page), page))

    client = Sockudo("a", "the-key", "the-secret", port=peer(handle).port, show_answers=True)
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

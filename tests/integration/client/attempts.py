"""What the tests of one HTTP attempt share: times, answers, and an attempt that has to fail."""

import socket
import struct
import time

import pytest

from sockudo_publisher.client.http.transport import Transport
from sockudo_publisher.errors import (
    SockudoConnectionError,
)

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


def post(transport, body=b"{}", timeout=PATIENCE, **options):
    return transport.request("POST", "/apps/a/events", query="auth_key=hush", body=body, timeout=timeout, **options)


def failure(transport, *, sent, timeout=None, within=None, **options):
    """The error of one POST, which must come in time and say whether it was sent.

    Without a timeout of the test's own, an attempt that a busy machine has not sent in half a second gets eight.
    """
    if timeout is not None or not sent:
        return _failure(transport, sent=sent, timeout=timeout or TIMEOUT, within=within, **options)
    try:
        return _failure(transport, sent=sent, timeout=TIMEOUT, within=within, **options)
    except NotSent:
        return _failure(transport, sent=sent, timeout=16 * TIMEOUT, within=within, **options)


class NotSent(AssertionError):
    """The attempt ended before its request had left."""


def _failure(transport, *, sent, timeout, within, **options):
    started = time.monotonic()
    with pytest.raises(SockudoConnectionError) as caught:
        post(transport, timeout=timeout, **options)
    took = time.monotonic() - started
    within = timeout + SLACK if within is None else within
    assert took < within, f"took {took:.2f} s"
    if sent and not caught.value.sent and "no complete answer within" in str(caught.value):
        raise NotSent(str(caught.value))
    assert caught.value.sent is sent, str(caught.value)
    assert "hush" not in str(caught.value)
    # The exceptions of requests hold the URL, with key and signature: none is carried along.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


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


def reset(connection):
    """Close with a RST, over TLS too."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def with_session(port, session, scheme="http"):
    return Transport(f"{scheme}://127.0.0.1:{port}", session=session)

"""A plain connection to Sockudo, for what no HTTP library does: a reset at an exact moment, a WebSocket.

Decides nothing.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import time
from collections.abc import Iterator
from urllib.parse import quote

from ...client.http.credentials import Credentials
from ...client.http.deadline import attempt_until, tls_context

__all__ = ["connect", "host_header", "open_websocket"]

#: Bytes of the answer to a handshake and of the first message; Sockudo's have about 400.
MAX_GREETING_BYTES = 16 * 1024


def connect(credentials: Credentials, within_s: float) -> socket.socket:
    """Connect, with TLS if the URL is https. Raises :class:`OSError`."""
    connection = socket.create_connection((credentials.host, credentials.port), timeout=within_s)
    # Without TCP_NODELAY, the last part of a batch could still wait for an acknowledgement at a reset.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not credentials.use_tls:
        return connection
    try:
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        return tls_context(bundle).wrap_socket(connection, server_hostname=credentials.host)
    except BaseException:
        connection.close()
        raise


def host_header(credentials: Credentials) -> str:
    """The value of ``Host``."""
    host = f"[{credentials.host}]" if ":" in credentials.host else credentials.host
    return f"{host}:{credentials.port}"


@contextlib.contextmanager
def open_websocket(credentials: Credentials, within_s: float) -> Iterator[bool]:
    """Hold a WebSocket of the app, without a subscription. Gives whether a node has greeted it within that time."""
    with contextlib.ExitStack() as stack:
        try:
            with attempt_until(time.monotonic() + within_s):
                connection = stack.enter_context(connect(credentials, within_s))
                is_open = _greets(connection, credentials)
        except OSError:
            is_open = False
        yield is_open


def _greets(connection: socket.socket, credentials: Credentials) -> bool:
    connection.sendall(
        (
            f"GET {credentials.path_prefix}/app/{quote(credentials.key, safe='')}?protocol=7 HTTP/1.1\r\n"
            f"Host: {host_header(credentials)}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
        ).encode()
    )
    answer = b""
    # The first message is short, not masked and not compressed, so its text can be read as it is.
    while b"connection_established" not in answer and len(answer) < MAX_GREETING_BYTES:
        if answer and not b"HTTP/1.1 101".startswith(answer[:12]):
            return False
        if not (more := connection.recv(4096)):
            return False
        answer += more
    return len(answer) < MAX_GREETING_BYTES

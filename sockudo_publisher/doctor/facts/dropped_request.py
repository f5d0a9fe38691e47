"""Send a whole batch and reset the connection before the answer, as a killed worker does. Decides nothing.

Uses a plain socket: no HTTP library can close the connection at an exact moment. The server notices the reset at once.
"""

from __future__ import annotations

import os
import socket
import struct
import time

from ...client.http.credentials import Credentials
from ...client.http.deadline import attempt_until, tls_context

__all__ = ["drop_batch"]

#: SO_LINGER with no time: closing resets the connection.
_RESET = struct.pack("ii", 1, 0)


def drop_batch(credentials: Credentials, body: bytes, *, after_s: float, within_s: float) -> bool:
    """POST a batch and reset the connection ``after_s`` after its last byte. Returns whether the whole batch was sent.

    ``within_s``: seconds for connecting and sending.
    """
    path = f"{credentials.path}/batch_events"
    query = credentials.signer().query("POST", path, now=time.time(), body=body)
    host = f"[{credentials.host}]" if ":" in credentials.host else credentials.host
    head = (
        f"POST {credentials.path_prefix}{path}?{query} HTTP/1.1\r\nHost: {host}:{credentials.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    try:
        with attempt_until(time.monotonic() + within_s), _connect(credentials, within_s) as connection:
            connection.sendall(head.encode() + body)
            time.sleep(after_s)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    except OSError:
        return False
    return True


def _connect(credentials: Credentials, within_s: float) -> socket.socket:
    connection = socket.create_connection((credentials.host, credentials.port), timeout=within_s)
    # Without TCP_NODELAY, the last part of the batch could still wait for an acknowledgement at the reset.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not credentials.use_tls:
        return connection
    try:
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        return tls_context(bundle).wrap_socket(connection, server_hostname=credentials.host)
    except BaseException:
        connection.close()
        raise

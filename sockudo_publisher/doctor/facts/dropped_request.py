"""Send a whole batch and reset the connection before the answer, as a killed worker does. Decides nothing.

Uses a plain socket: no HTTP library can close the connection at an exact moment. The server notices the reset at once.
"""

from __future__ import annotations

import socket
import struct
import time

from ...client.http.credentials import Credentials
from ...client.http.deadline import attempt_until
from .connection import connect, host_header

__all__ = ["drop_batch"]

#: SO_LINGER with no time: closing resets the connection.
_RESET = struct.pack("ii", 1, 0)


def drop_batch(credentials: Credentials, body: bytes, *, after_s: float, within_s: float) -> bool:
    """POST a batch and reset the connection ``after_s`` after its last byte. Returns whether the whole batch was sent.

    ``within_s``: seconds for connecting and sending.
    """
    path = f"{credentials.path}/batch_events"
    query = credentials.signer().query("POST", path, now=time.time(), body=body)
    head = (
        f"POST {credentials.path_prefix}{path}?{query} HTTP/1.1\r\nHost: {host_header(credentials)}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    try:
        with attempt_until(time.monotonic() + within_s), connect(credentials, within_s) as connection:
            connection.sendall(head.encode() + body)
            time.sleep(after_s)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    except OSError:
        return False
    return True

"""Requests whose connection matters: half sent, cut, read byte by byte."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping

from .http import ANSWER_S, Answer, Http

__all__ = ["read_answer", "reset", "send_request"]


def send_request(
    node: Http,
    suffix: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    cut: int | None = None,
    is_chunked: bool = False,
) -> socket.socket:
    """Send a signed POST, with the first `cut` bytes of its body alone if that is given. The socket stays open."""
    target = node.target("POST", f"/apps/{node.app.id}{suffix}", body)
    lines = {"Host": f"{node.address.host}:{node.address.port}", "Content-Type": "application/json", **headers}
    if is_chunked:
        lines["Transfer-Encoding"] = "chunked"
        middle = len(body) // 2
        sent = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:middle], body[middle:])) + b"0\r\n\r\n"
    else:
        lines["Content-Length"] = str(len(body))
        sent = body if cut is None else body[:cut]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    connection = socket.create_connection((node.address.host, node.address.port), timeout=ANSWER_S)
    if node.address.is_tls:
        connection = ssl.create_default_context().wrap_socket(connection, server_hostname=node.address.host)
    connection.sendall(f"POST {target} HTTP/1.1\r\n{head}\r\n".encode() + sent)
    return connection


def read_answer(connection: socket.socket) -> Answer:
    """One whole answer."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    received = {name.lower(): value for name, value in answer.getheaders()}
    return Answer(answer.status, received, answer.read())


def reset(connection: socket.socket) -> None:
    """End the connection with RST: the server learns at once that its client is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()

"""Whether a Sockudo (real or embedded) on a local port answers and knows an app.

An open port proves little: a server with an unreadable configuration starts with another one
(docs/server.md, 10.1), so a signed request must be accepted too.
"""

from __future__ import annotations

import http.client
import time

from ...client.http.credentials import Credentials
from .app import SockudoApp
from .ports import LOOPBACK

__all__ = ["accepts", "is_up"]

#: Seconds for one answer.
ANSWER_TIMEOUT_S = 2.0


def is_up(port: int, app: SockudoApp) -> bool:
    """Whether ``GET /up/{app}`` says that the server and the app are well."""
    return _status(port, f"/up/{_credentials(app).path.rpartition('/')[2]}") == 200


def accepts(port: int, app: SockudoApp) -> bool:
    """Whether an empty batch, signed with the app's key and secret, is accepted."""
    credentials = _credentials(app)
    path, body = f"{credentials.path}/batch_events", b'{"batch":[]}'
    query = credentials.signer().query("POST", path, now=time.time(), body=body)
    return _status(port, f"{path}?{query}", body) == 200


def _credentials(app: SockudoApp) -> Credentials:
    """The client's own, for its way to write an app id in a path: Sockudo compares the two undecoded."""
    return Credentials.from_parts(app.id, app.key, app.secret)


def _status(port: int, target: str, body: bytes | None = None) -> int | None:
    """The status of one request, ``None`` without an answer. Never through a proxy."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ANSWER_TIMEOUT_S)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    try:
        connection.request("GET" if body is None else "POST", target, body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()

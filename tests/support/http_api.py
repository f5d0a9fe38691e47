"""Requests to a Sockudo as its rules have them, signed by code of their own.

The package's client is not used: a mistake in it would agree with itself. Requests that are wrong on purpose are made
in `tests/conformance`.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sockudo_publisher.dev.embedded import DevServerProcess, SockudoApp, SockudoServer
from sockudo_publisher.dev.embedded.ports import LOOPBACK

#: Seconds for one answer; a pending id is waited for by the server for one.
ANSWER_S = 10.0

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class HttpAnswer:
    """Status, headers by lower-case name, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


def signature(secret: str, method: str, path: str, parameters: Mapping[str, str]) -> str:
    """Lower-case hex HMAC-SHA256 of method, path and sorted parameters."""
    pairs = sorted((name.lower(), value) for name, value in parameters.items())
    text = "\n".join([method, path, "&".join(f"{name}={value}" for name, value in pairs)])
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class HttpApi:
    """One app of a running server; `port` is a proxy's in front of it."""

    def __init__(
        self, server: SockudoServer | DevServerProcess, app: SockudoApp | None = None, port: int | None = None
    ) -> None:
        self.port = port or server.port
        self.app = app or server.apps[0]

    def event(self, **fields: Any) -> HttpAnswer:
        """`POST /events` with these fields."""
        return self.post("/events", fields)

    def batch(self, *items: Mapping[str, Any]) -> HttpAnswer:
        """`POST /batch_events` with these items."""
        return self.post("/batch_events", {"batch": items})

    def post(self, suffix: str, body: Any) -> HttpAnswer:
        """Signed; `body` as JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", f"/apps/{self.app.id}{suffix}", data)

    def request(
        self, method: str, path: str, body: bytes | None = None, *, parameters: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """One signed request; `parameters` are added to those of a right one, or replace them."""
        signed = {"auth_key": self.app.key, "auth_timestamp": str(int(time.time())), "auth_version": "1.0"}
        if body is not None:
            signed["body_md5"] = hashlib.md5(body).hexdigest()
        signed |= parameters or {}
        signed["auth_signature"] = signature(self.app.secret, method, path, signed)
        query = "&".join(f"{quote(name)}={quote(value)}" for name, value in signed.items())
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=ANSWER_S)
        try:
            connection.request(method, f"{path}?{query}", body, JSON)
            answer = connection.getresponse()
            received = {name.lower(): value for name, value in answer.getheaders()}
            return HttpAnswer(answer.status, received, answer.read())
        finally:
            connection.close()

"""Requests as bytes on a socket, signed by code that shares nothing with the package."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tests.support.http_api import HttpAnswer

__all__ = ["JSON", "Address", "Answer", "App", "Http", "sign"]

#: Seconds for one answer beside other load; the server itself waits up to one for a pending id.
ANSWER_S = 60.0
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class App:
    """One app of a server."""

    id: str
    key: str
    secret: str


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int
    is_tls: bool = False

    def connect(self) -> http.client.HTTPConnection:
        """A connection that is made by its first request."""
        kind = http.client.HTTPSConnection if self.is_tls else http.client.HTTPConnection
        return kind(self.host, self.port, timeout=ANSWER_S)

    @staticmethod
    def of(url: str) -> tuple[Address, App]:
        """Read `http://KEY:SECRET@HOST:PORT/apps/ID`. Raises `ValueError`, which shows no secret."""
        parts = urlsplit(url)
        is_tls = parts.scheme == "https"
        head, _, app_id = parts.path.rstrip("/").rpartition("/")
        if parts.scheme not in ("http", "https") or not (parts.hostname and parts.username and parts.password):
            raise ValueError("target: expected real, embedded or http://KEY:SECRET@HOST:PORT/apps/ID")
        if head != "/apps" or not app_id:
            raise ValueError("target: the path of the URL must be /apps/ID")
        app = App(unquote(app_id), unquote(parts.username), unquote(parts.password))
        return Address(parts.hostname, parts.port or (443 if is_tls else 80), is_tls), app


@dataclass(frozen=True)
class Answer(HttpAnswer):
    """An answer that a fact can record."""

    @property
    def line(self) -> str:
        """The answer in one line: `400 invalid_input: the text`, `200 {"ok":true}`, `404 text/plain: the text`."""
        if self.media_type != "application/json":
            if not self.body:
                return f"{self.status} without a body"
            return f"{self.status} {self.media_type or 'without a type'}: {self.body.decode(errors='replace')}"
        found = self.json
        if isinstance(found, dict) and set(found) == {"error", "code", "status"} and found["status"] == self.status:
            return f"{self.status} {found['code']}: {found['error']}"
        return f"{self.status} {json.dumps(found, sort_keys=True, separators=(',', ':'))}"

    @property
    def code(self) -> str:
        """Status and code, without the text."""
        return self.line.partition(":")[0] if not self.line.startswith("2") else str(self.status)


def sign(secret: str, method: str, path: str, parameters: Mapping[str, str]) -> str:
    """Lower-case hex HMAC-SHA256 of method, path and sorted parameters."""
    pairs = sorted((name.lower(), value) for name, value in parameters.items())
    text = "\n".join([method, path, "&".join(f"{name}={value}" for name, value in pairs)])
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class Http:
    """One app at an address."""

    def __init__(self, address: Address, app: App) -> None:
        self.address = address
        self.app = app

    def event(self, **fields: Any) -> Answer:
        """`POST /events` with these fields."""
        return self.post("/events", fields)

    def batch(self, *items: Mapping[str, Any]) -> Answer:
        """`POST /batch_events` with these items."""
        return self.post("/batch_events", {"batch": items})

    def get(self, suffix: str, **query: str) -> Answer:
        """A signed query of this app."""
        return self.request("GET", f"/apps/{self.app.id}{suffix}", parameters=query, headers={})

    def post(self, suffix: str, body: Any, **how: Any) -> Answer:
        """Signed; `body` as JSON unless it is bytes; `how` as for `request`."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", f"/apps/{self.app.id}{suffix}", data, **how)

    def target(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        parameters: Mapping[str, str] | None = None,
        without: Sequence[str] = (),
        secret: str | None = None,
        sign_path: str | None = None,
    ) -> str:
        """Path and signed query. `parameters` are added to, or replace, those of a right request; `without` leaves
        some out; `sign_path` is signed instead of `path`.
        """
        signed = {"auth_key": self.app.key, "auth_timestamp": str(int(time.time())), "auth_version": "1.0"}
        if body is not None:
            signed["body_md5"] = hashlib.md5(body).hexdigest()
        signed = {name: value for name, value in {**signed, **(parameters or {})}.items() if name not in without}
        if "auth_signature" not in signed and "auth_signature" not in without:
            signed["auth_signature"] = sign(secret or self.app.secret, method, sign_path or path, signed)
        return f"{path}?" + "&".join(f"{quote(name)}={quote(value)}" for name, value in signed.items())

    def request(
        self, method: str, path: str, body: bytes | None = None, *, headers: Mapping[str, str] = JSON, **how: Any
    ) -> Answer:
        """One signed request; `how` as for `target`."""
        return self.plain(method, self.target(method, path, body, **how), body, headers)

    def plain(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request as given."""
        connection = self.address.connect()
        try:
            connection.request(method, target, body, dict(headers or {}))
            answer = connection.getresponse()
            received = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, received, answer.read())
        finally:
            connection.close()

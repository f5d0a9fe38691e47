"""An HTTP endpoint for webhooks: keeps every request, refuses the first of a channel on request."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sockudo_publisher.dev.embedded.ports import LOOPBACK

__all__ = ["Receiver", "Request"]


@dataclass(frozen=True)
class Request:
    """Headers by lower-case name, body as it came, the status it was answered."""

    headers: Mapping[str, str]
    body: bytes
    status: int


class Receiver(ThreadingHTTPServer):
    """A context manager: enter starts it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.requests: list[Request] = []
        self.refusals: dict[str, int] = {}
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/webhooks"

    def refuse(self, channel: str, status: int) -> None:
        """Answer the first request about this channel with that status."""
        self.refusals[channel] = status

    def events(self) -> list[dict[str, Any]]:
        """The events of all accepted requests, in the order of their coming."""
        return [event for one in list(self.requests) if one.status == 200 for event in json.loads(one.body)["events"]]

    def requests_of(self, channel: str) -> list[Request]:
        """Those with its `channel_occupied`, whatever they were answered."""
        return [
            one
            for one in list(self.requests)
            if any(
                e.get("channel") == channel and e["name"] == "channel_occupied" for e in json.loads(one.body)["events"]
            )
        ]

    def request_of(self, channel: str) -> Request | None:
        """The first of them."""
        return next(iter(self.requests_of(channel)), None)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        channels = {event.get("channel") for event in json.loads(body)["events"]}
        refused = next((channel for channel in channels if channel in self.server.refusals), None)
        status = 200 if refused is None else self.server.refusals.pop(refused)
        self.server.requests.append(Request({k.lower(): v for k, v in self.headers.items()}, body, status))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass

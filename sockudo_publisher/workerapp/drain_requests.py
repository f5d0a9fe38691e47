"""The requests of a drain to Sockudo, through the app's client: a batch, and a read of a channel's history."""

from __future__ import annotations

from collections.abc import Mapping

from ..delivery.outcome import NoReply, Reply
from ..errors import SockudoConnectionError
from ..wiring.app import App

__all__ = ["get", "post_batch"]


def post_batch(app: App, body: bytes, timeout_s: float) -> Reply | NoReply:
    """Send a batch once."""
    try:
        headers = app.observer.request_headers() or None
        response = app.client.send("POST", "/batch_events", body=body, timeout=timeout_s, headers=headers)
    except SockudoConnectionError as error:
        return NoReply(sent=error.sent, message=str(error))
    answered = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status, response.body, answered, response.is_shown)


def get(app: App, path: str, parameters: Mapping[str, str]) -> tuple[int, bytes]:
    """Send one GET, with the client's short timeout."""
    response = app.client.send("GET", path, query=parameters)
    return response.status, response.body

"""The server's page and what it asks for: channels, the last events, faults. For pages of this server alone."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .answers import json_answer
from .core import Core
from .history import invalid
from .origins import is_own_host, is_same_origin, matches_pattern
from .refusal import Refusal
from .registry import Socket
from .state import AppState

__all__ = ["DevApi"]

#: Events, channels and members that the page shows, and characters of an event's data.
SHOWN_EVENTS, SHOWN_CHANNELS, SHOWN_MEMBERS, SHOWN_DATA = 100, 200, 20, 500
#: Bytes of an order.
MAX_ORDER_BYTES = 10_000
#: The page runs its own script, known by its digest, and reads this server; nothing else.
_POLICY = (
    "default-src 'none'; script-src '{script}'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


class DevApi:
    """``/``, ``/dev/state``, ``/dev/faults``."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def check_client(self, request: Request) -> None:
        """Refuse pages of other origins, and foreign names whose DNS points here."""
        config, host, origin = self._core.config, request.headers.get("host"), request.headers.get("origin")
        allowed = origin is not None and any(matches_pattern(origin, one) for one in config.allow_origins)
        if not is_own_host(host, config.host, config.allow_origins):
            raise Refusal(403, "forbidden", "Host not allowed: use localhost, a number, or --host")
        if not allowed and not is_same_origin(origin, host):
            raise Refusal(403, "forbidden", "Origin not allowed: start the server with --allow-origin")

    def page(self) -> Response:
        """The page."""
        text = files(__package__).joinpath("page.html").read_text("utf-8")
        headers = {**_HEADERS, "Content-Security-Policy": _POLICY.format(script=_script_digest(text))}
        return Response(text, 200, headers, "text/html; charset=utf-8")

    def state(self) -> Response:
        """What is there now, as JSON."""
        log, counts = self._core.log, self._core.log.counts
        answer = json_answer(
            {
                "apps": [_app(app_id, state) for app_id, state in self._core.states.items()],
                "events": [
                    {
                        "app": event.app_id,
                        "channel": event.channel,
                        "event": event.name,
                        "data": event.data[:SHOWN_DATA],
                        "is_cut": len(event.data) > SHOWN_DATA,
                        "bytes": len(event.data.encode(errors="replace")),
                        "message_id": event.message_id,
                        "subscribers": event.subscribers,
                        "at_ms": event.at_ms,
                    }
                    for event in log.last(SHOWN_EVENTS)
                ],
                "counts": vars(counts),
                "remembered_ids": len(self._core.dedup),
                "clock_skew_s": self._core.skew_s,
                "faults": self._core.faults.waiting,
            }
        )
        answer.headers.update(_HEADERS)
        return answer

    def faults(self) -> Response:
        """The faults that wait, and the counts."""
        return json_answer({"faults": self._core.faults.waiting, "counts": vars(self._core.log.counts)})

    async def add_fault(self, request: Request) -> Response:
        """``POST /dev/faults``: one order, or a list of them."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(415, "invalid_input", "Expected request with `Content-Type: application/json`")
        body = await request.body()
        if len(body) > MAX_ORDER_BYTES:
            raise Refusal(413, "payload_too_large", f"faults: {len(body)} bytes, limit {MAX_ORDER_BYTES}")
        try:
            orders = json.loads(body)
        except (ValueError, RecursionError):
            raise invalid("faults: not JSON") from None
        try:
            for order in orders if isinstance(orders, list) else [orders]:
                self._core.faults.add(order)
        except ValueError as problem:
            raise invalid(str(problem)) from None
        return self.faults()


def _script_digest(page: str) -> str:
    """What allows the page's one script, and no other."""
    script = page.partition("<script>")[2].partition("</script>")[0]
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _app(app_id: str, state: AppState) -> dict[str, Any]:
    registry = state.registry
    return {
        "id": app_id,
        "key": state.app.key,
        "connections": [_connection(state, socket) for socket in registry.connections[:SHOWN_CHANNELS]],
        "connection_count": len(registry.connections),
        "channels": [
            {
                "name": channel,
                "subscribers": registry.count(channel),
                "members": list(registry.members(channel))[:SHOWN_MEMBERS],
            }
            for channel in registry.channels[:SHOWN_CHANNELS]
        ],
        "channel_count": len(registry.channels),
    }


def _connection(state: AppState, socket: Socket) -> dict[str, Any]:
    return {"socket_id": socket.socket_id, "user": state.registry.user_of(socket)}

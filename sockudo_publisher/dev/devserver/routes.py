"""Which handler a request is for: method and path, segment by segment, as the real server routes them. Pure.

A path is split before it is decoded, so that ``%2F`` is part of a name. What the real server has and this one does
not is listed too, and answered 501.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from .refusal import Refusal, TextRefusal, not_here

__all__ = ["Route", "WrongMethod", "route_of"]


@dataclass(frozen=True)
class Route:
    """The handler's name, and the decoded names in the path."""

    handler: str
    names: dict[str, str]


class WrongMethod(Refusal):
    """405, with the methods that the path has."""

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(405, "", "")
        self.allowed = ",".join(allowed)

    def body(self) -> bytes:
        """Empty."""
        return b""


_CHANNEL = "/apps/{appId}/channels/{channelName}"
_MESSAGE = _CHANNEL + "/messages/{messageSerial}"
_ROUTES: tuple[tuple[str, str, str], ...] = (
    ("GET", "/", "page"),
    ("GET", "/dev/state", "dev_state"),
    ("GET", "/dev/faults", "dev_faults"),
    ("POST", "/dev/faults", "dev_add_fault"),
    ("GET", "/up", "up"),
    ("GET", "/up/{appId}", "up"),
    ("GET", "/live", "live"),
    ("GET", "/ready", "ready"),
    ("GET", "/accept-traffic", "accept_traffic"),
    ("GET", "/usage", "usage"),
    ("GET", "/stats", "stats"),
    ("GET", "/operator/stats", "stats"),
    ("GET", "/app/{appKey}", "no_websocket"),
    ("POST", "/apps/{appId}/events", "events"),
    ("POST", "/apps/{appId}/batch_events", "batch_events"),
    ("GET", "/apps/{appId}/channels", "channels"),
    ("GET", _CHANNEL, "channel"),
    ("GET", _CHANNEL + "/users", "channel_users"),
    ("POST", "/apps/{appId}/users/{userId}/terminate_connections", "terminate_connections"),
    ("POST", "/apps/{appId}/users/{userId}/force_reconnect", "force_reconnect"),
    ("GET", _CHANNEL + "/history", "history"),
    ("GET", _CHANNEL + "/history/state", "history_state"),
    ("POST", _CHANNEL + "/history/reset", "history_reset"),
    ("POST", _CHANNEL + "/history/purge", "history_purge"),
    ("GET", _CHANNEL + "/presence/history", "presence_history"),
    ("GET", _CHANNEL + "/presence/history/state", "presence_history_state"),
    ("GET", _CHANNEL + "/presence/history/snapshot", "presence_history_snapshot"),
    ("POST", _CHANNEL + "/presence/history/reset", "presence_history_reset"),
    # Of the real server alone.
    ("POST", "/apps/{appId}/revocations", "-revocation of tokens"),
    ("GET", _MESSAGE, "-versioned messages"),
    ("GET", _MESSAGE + "/versions", "-versioned messages"),
    ("POST", _MESSAGE + "/update", "-versioned messages"),
    ("POST", _MESSAGE + "/delete", "-versioned messages"),
    ("POST", _MESSAGE + "/append", "-versioned messages"),
    ("GET", _MESSAGE + "/annotations", "-annotations"),
    ("POST", _MESSAGE + "/annotations", "-annotations"),
    ("DELETE", _MESSAGE + "/annotations/{annotationSerial}", "-annotations"),
)
_SPLIT = tuple((method, tuple(path.split("/")), handler) for method, path, handler in _ROUTES)
#: The first names of this server's own pages.
_OWN = ("", "dev")
#: What starts like this is the real server's push service.
_PUSH = ("", "apps", None, "push")


def route_of(method: str, raw_path: str) -> Route:
    """The route of a request. Raises :class:`Refusal`: 404, 405, 501, or 400 for a name that is not UTF-8."""
    # One slash at the end is no part of the path.
    path = raw_path[:-1] if len(raw_path) > 1 and raw_path.endswith("/") else raw_path
    parts = tuple(path.split("/"))
    allowed = []
    for route_method, pattern, handler in _SPLIT:
        if len(pattern) != len(parts) or not all(map(_fits, pattern, parts)):
            continue
        if pattern[1] not in _OWN:  # the real server knows no other method of these, nor the path
            allowed.append(route_method)
        if method == route_method or (method, route_method) == ("HEAD", "GET"):
            if handler.startswith("-"):
                raise not_here(handler[1:])
            return Route(handler, dict(_named(pattern, parts)))
    if allowed:
        raise WrongMethod([*allowed, *(["HEAD"] if "GET" in allowed else [])])
    if len(parts) > len(_PUSH) and parts[1] == "apps" and parts[3] == "push":
        raise not_here("push notifications")
    raise TextRefusal(404, "404 NOT FOUND")


def _fits(wanted: str, part: str) -> bool:
    return wanted.startswith("{") or wanted == part


def _named(pattern: Sequence[str], parts: Sequence[str]) -> list[tuple[str, str]]:
    names = []
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            try:
                names.append((wanted[1:-1], unquote_to_bytes(part).decode()))
            except UnicodeDecodeError:
                raise TextRefusal(400, f"Invalid URL: Invalid UTF-8 in `{wanted[1:-1]}`") from None
    return names

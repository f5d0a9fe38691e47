"""Which pages of a browser may connect: Origin against Host. Pure.

A browser lets any page open a WebSocket to this machine, and sends the page's origin. Without configuration, pages of
this machine and of the server's own address may; a foreign name whose DNS points here is not an own address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

__all__ = ["is_allowed_origin", "is_own_host", "is_same_origin", "matches_pattern"]


def is_allowed_origin(origin: str | None, host: str | None, bound_host: str, allowed: Sequence[str] = ()) -> bool:
    """Whether a page of this origin may open a WebSocket. ``None``: not a browser, so there is no page to fear.

    ``host`` is the request's Host header, ``bound_host`` the address that the server listens on.
    """
    if origin is None or any(matches_pattern(origin, pattern) for pattern in allowed):
        return True
    name = _name_of_origin(origin)
    if name is None:
        return False
    return _is_loopback(name) or (name == _name(host) and is_own_host(host, bound_host))


def is_same_origin(origin: str | None, host: str | None) -> bool:
    """Whether the request is from a page of this server (or from no page at all)."""
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and host is not None and parts.netloc.lower() == host.lower()


def is_own_host(host: str | None, bound_host: str, allowed: Sequence[str] = ()) -> bool:
    """Whether a Host header names this server: a loopback name, a number, the bound name, or an allowed origin's."""
    name = _name(host)
    if name is None:
        return False
    own = {bound_host.lower(), *(_name_of_origin(origin) for origin in allowed)}
    return _is_loopback(name) or _is_number(name) or name in own or "*" in allowed


def matches_pattern(origin: str, pattern: str) -> bool:
    """The server's rule for ``allowed_origins``: ``*``, ``any``, an origin, one without its scheme, one ``*`` in it."""
    origin, pattern = origin.lower(), pattern.lower()
    if pattern in ("*", "any", origin):
        return True
    whole = "://" in pattern
    text = origin if whole else origin.partition("://")[2]
    if pattern.count("*") == 1:
        start, _, end = pattern.partition("*")
        return len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end)
    return text == pattern


def _name_of_origin(origin: str) -> str | None:
    try:
        parts = urlsplit(origin)
        return parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        return None


def _name(host: str | None) -> str | None:
    """The name in a Host header, without its port."""
    if not host or "/" in host or "@" in host:
        return None
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

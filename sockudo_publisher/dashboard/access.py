"""Who may do what. Pure: the facts of a request and the rules of this dashboard give a decision.

A page elsewhere can make a browser send requests to this machine: under a name of its own that it has pointed here (DNS
rebinding: the Host header names it), or from its own origin (the Origin header names it). Both are refused, with a
token and without.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

__all__ = [
    "LOOPBACK_NAMES",
    "AccessRules",
    "Allow",
    "Decision",
    "Refuse",
    "RequestFacts",
    "decide_access",
    "host_name",
    "is_loopback",
    "is_public_path",
]

#: The names of this machine for itself.
LOOPBACK_NAMES = frozenset({"127.0.0.1", "::1", "localhost"})

#: What a request without a token may have: the form for the token, and the files of the pages, which hold no data.
_PUBLIC = ("/login",)
_PUBLIC_FOLDER = "/page/"

#: The actions that change nothing in Redis, allowed to a dashboard that only shows.
_SESSION_PATHS = ("/login", "/logout")


@dataclass(frozen=True)
class AccessRules:
    """The rules of one dashboard.

    ``hosts``: names that a Host header may have, lower case, without ports and brackets; ``takes_addresses``: any IP
    address too, for a dashboard that listens on all addresses (rebinding needs a name). ``needs_token``: a token is
    set. ``is_read_only``: nothing may be changed.
    """

    hosts: Collection[str] = LOOPBACK_NAMES
    takes_addresses: bool = False
    needs_token: bool = False
    is_read_only: bool = False


@dataclass(frozen=True)
class RequestFacts:
    """One request. ``path``: below the dashboard's own; ``hosts``: all Host headers; ``origin``: the Origin header.

    ``fetch_site``: the Sec-Fetch-Site header, ``""`` where the browser sends none. ``is_local``: the connection is from
    this machine; ``is_forwarded``: a proxy has passed it on. ``has_bearer``, ``has_session``: the right token in
    ``Authorization``, a valid cookie.
    """

    method: str
    path: str
    hosts: tuple[str, ...] = ("127.0.0.1",)
    origin: str | None = None
    fetch_site: str = ""
    content_type: str = ""
    is_local: bool = True
    is_forwarded: bool = False
    has_bearer: bool = False
    has_session: bool = False


@dataclass(frozen=True)
class Allow:
    """The request goes on."""


@dataclass(frozen=True)
class Refuse:
    """The request ends with this HTTP status; ``why``: for a person, without a text of the request."""

    status: Literal[400, 401, 403, 405, 415]
    why: str


Decision: TypeAlias = Allow | Refuse


def decide_access(facts: RequestFacts, rules: AccessRules) -> Decision:
    """Whether the request goes on. Every rule that needs no token comes before those that do."""
    if len(facts.hosts) != 1 or not host_name(facts.hosts[0]):
        return Refuse(400, "expected exactly one Host header with a name or an address")
    if not _is_own_host(host_name(facts.hosts[0]), rules):
        return Refuse(403, "this Host is not the dashboard's: allow its name with --allow-host (allowed_hosts)")
    if facts.method not in ("GET", "HEAD", "POST"):
        return Refuse(405, "expected GET, HEAD or POST")
    if not rules.needs_token and (not facts.is_local or facts.is_forwarded):
        return Refuse(403, "without a token only this machine is served, and no proxy: set SOCKUDO_DASHBOARD_TOKEN")
    changes = facts.method == "POST"
    refusal = _refuse_origin(facts) if changes else _refuse_foreign_read(facts)
    if refusal is not None:
        return refusal
    if changes and not _has_expected_content(facts):
        return Refuse(415, "expected application/json; for /login a form")
    if rules.needs_token and not (facts.has_bearer or facts.has_session or is_public_path(facts.path)):
        return Refuse(401, "sign in with the token, or send it as Authorization: Bearer")
    if changes and rules.is_read_only and facts.path not in _SESSION_PATHS:
        return Refuse(403, "this dashboard is read-only")
    return Allow()


def is_public_path(path: str) -> bool:
    """Whether a path is served without a token."""
    return path in _PUBLIC or path.startswith(_PUBLIC_FOLDER)


def host_name(host: str) -> str:
    """The name in a Host header, lower case, without port, brackets and the root's dot; ``""`` for a malformed one."""
    parts = _split(host)
    return "" if parts is None else parts[0]


def is_loopback(host: str) -> bool:
    """Whether an address, or the name ``localhost``, is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_own_host(name: str, rules: AccessRules) -> bool:
    return name in rules.hosts or (rules.takes_addresses and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refuse_origin(facts: RequestFacts) -> Refuse | None:
    """A request that changes something comes from the dashboard's own page, or from a program with the token."""
    if facts.fetch_site not in ("", "same-origin"):
        return Refuse(403, "the request comes from another site")
    if facts.origin is None:
        # A browser sends an Origin with every POST, and no page elsewhere can set Authorization.
        return None if facts.has_bearer else Refuse(403, "expected an Origin header, or Authorization: Bearer")
    try:
        origin = urlsplit(facts.origin)
    except ValueError:
        origin = urlsplit("")
    own, given = _split(facts.hosts[0]), _split(origin.netloc)
    is_bare = not (origin.path or origin.query or origin.fragment)
    if origin.scheme not in _PORTS or not is_bare or own is None or given is None:
        return Refuse(403, "the request comes from another origin")
    port = _PORTS[origin.scheme]
    if (own[0], own[1] or port) != (given[0], given[1] or port):
        return Refuse(403, "the request comes from another origin")
    return None


#: The port that a browser leaves out.
_PORTS = {"http": 80, "https": 443}


def _refuse_foreign_read(facts: RequestFacts) -> Refuse | None:
    """Data is read by the dashboard's own page; a link elsewhere may open the page itself."""
    is_foreign = facts.fetch_site in ("cross-site", "same-site")
    return Refuse(403, "the request comes from another site") if is_foreign and facts.path.startswith("/api/") else None


def _has_expected_content(facts: RequestFacts) -> bool:
    kind = facts.content_type.partition(";")[0].strip().lower()
    # A form elsewhere cannot send JSON.
    return kind == ("application/x-www-form-urlencoded" if facts.path in _SESSION_PATHS else "application/json")


def _split(netloc: str) -> tuple[str, int | None] | None:
    """Name and port; ``None`` if it is malformed or has a user."""
    if not netloc or not netloc.isascii() or any(one in netloc for one in " @/\\?#,\t"):
        return None
    try:
        parts = urlsplit(f"//{netloc}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    return (name.rstrip("."), port) if name and name.rstrip(".") else None

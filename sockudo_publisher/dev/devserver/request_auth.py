"""Check the signatures of requests and of private channels. Pure; the clock is an argument.

Written from the server's rules (docs/server.md, 2 and 7) and from its answers, apart from the
client's signing on purpose. The order of the checks is the server's.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from urllib.parse import parse_qsl, quote, unquote

from .config import AppConfig
from .refusal import Refusal

__all__ = ["authenticated_app", "is_signed_user", "may_subscribe"]

#: Seconds by which a request's clock may differ, either way.
CLOCK_TOLERANCE_S = 600
#: Characters that a segment of a path holds as they are, beside letters, digits and ``-._~``.
PATH_SAFE = "!$&'()*+,;=:@"
#: Bounds of a timestamp: the server's number has 64 bits.
MIN_SECONDS, MAX_SECONDS = -(2**63), 2**63 - 1


def authenticated_app(
    app_by_key: Callable[[str], AppConfig | None],
    *,
    method: str,
    path: str,
    app_id: str,
    query: str,
    body: bytes,
    now: float,
) -> AppConfig:
    """The app that signed the request. ``path`` and ``query`` as on the wire, ``app_id`` as in the path.

    Raises :class:`Refusal`: 400 without a query, 404 for an unknown key, else 401.
    """
    if not query:
        raise Refusal(400, "invalid_input", "Missing authentication query parameters")
    # A name given twice keeps its last value; names are compared in lower case.
    parameters = {name.lower(): value for name, value in parse_qsl(query, keep_blank_values=True)}
    app = app_by_key(parameters.get("auth_key", ""))
    if app is None:
        raise Refusal(404, "app_not_found", "Application key not found or invalid: Invalid app key")
    if not _is_id_of(app, app_id):
        raise _unauthorized("Authenticated app does not match route app_id")
    _check_clock(parameters.get("auth_timestamp", ""), now)
    _check_body_md5(method, parameters.get("body_md5"), body)
    signature = parameters.pop("auth_signature", "")
    # The server strips one trailing slash before it looks at anything.
    text = f"{method}\n{path.removesuffix('/')}\n" + "&".join(
        f"{name}={parameters[name]}" for name in sorted(parameters)
    )
    expected = hmac.new(app.secret.encode(), text.encode(errors="surrogateescape"), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="surrogateescape")):
        raise _unauthorized("Invalid API signature")
    return app


def _is_id_of(app: AppConfig, in_path: str) -> bool:
    """Undecoded, as on the real server (seen on 5.2.0). An id with what a path cannot hold is escaped in it."""
    needs_escape = quote(app.id, safe=PATH_SAFE) != app.id
    return in_path == app.id or (needs_escape and unquote(in_path) == app.id)


def may_subscribe(app: AppConfig, socket_id: str, channel: str, auth: str, channel_data: str | None = None) -> bool:
    """Whether ``auth`` (``key:signature``) lets this socket into a private channel.

    ``channel_data`` is signed too, as it was sent, for a presence channel.
    """
    key, _, signature = auth.rpartition(":")
    text = f"{socket_id}:{channel}" + (f":{channel_data}" if channel_data else "")
    return key == app.key and _is_signature(app, text, signature)


def is_signed_user(app: AppConfig, socket_id: str, user_data: str, auth: str) -> bool:
    """Whether ``auth`` signs a user in; the part before the colon is ignored."""
    _, colon, signature = auth.partition(":")
    return _is_signature(app, f"{socket_id}::user::{user_data}", signature if colon else auth)


def _is_signature(app: AppConfig, text: str, signature: str) -> bool:
    expected = hmac.new(app.secret.encode(), text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))


def _check_clock(timestamp: str, now: float) -> None:
    if not timestamp:
        raise _unauthorized("auth_timestamp is missing")
    # A number of 64 bits in ASCII; Python's int() also reads other digits and underscores.
    if (
        re.fullmatch(r"[+-]?[0-9]{1,19}", timestamp) is None
        or not MIN_SECONDS <= (seconds := int(timestamp)) <= MAX_SECONDS
    ):
        raise _unauthorized("Invalid auth_timestamp format")
    if abs(int(now) - seconds) > CLOCK_TOLERANCE_S:
        raise _unauthorized("Timestamp expired or too far in the future")


def _check_body_md5(method: str, given: str | None, body: bytes) -> None:
    if method != "POST":
        if given is not None:
            raise _unauthorized(f"body_md5 must not be present in query parameters for {method} requests")
        return
    if not given:
        raise _unauthorized(
            "body_md5 is required and must be non-empty in query parameters for POST requests with a non-empty body"
        )
    if given != hashlib.md5(body, usedforsecurity=False).hexdigest():
        raise _unauthorized("body_md5 mismatch")


def _unauthorized(text: str) -> Refusal:
    return Refusal(401, "auth_failed", text)

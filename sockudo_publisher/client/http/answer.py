"""Read an answer to a direct call: the server's JSON, or the error of its status.

Pure. Imports the error tree, the server's texts and the transport's ``Response``.
Facts: docs/server.md, 1.2 and 1.3.
"""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, TypeAlias

from typing_extensions import assert_never

from ...errors import SockudoHTTPError, error_for_status
from .no_answer import NoAnswer
from .transport import Response

__all__ = ["Field", "Request", "error_of", "json_object", "retry_after"]

#: Characters of the server's text in an error; a proxy's HTML page can be long.
MAX_MESSAGE_CHARACTERS = 300


class Request(Enum):
    """The kind of a request, which decides what a refusal proves about it."""

    #: Nothing to be delivered: a query.
    QUERY = "query"
    #: One event on one channel, or one order: done or not done.
    ONE = "one"
    #: One event on several channels: each is refused or published by itself, after the event's own rules.
    CHANNELS = "channels"
    #: Several events: those before the refused one are published.
    EVENTS = "events"


#: The 4xx after which the request may have been carried out all the same, by a server behind a proxy.
_NO_REFUSALS = frozenset({408, 409, 499})
#: Codes of an event's own rules, looked at before any of its channels (docs/server.md, 4.2).
_OF_THE_EVENT = frozenset({"payload_too_large", "limit_exceeded", "missing_channel_info"})
#: How the plain text begins by which the web framework refuses a body that it cannot read.
_UNREADABLE = (b"Failed to parse the request body as JSON", b"Failed to deserialize the JSON body")

#: What an answer cannot lack: the name of a field, and its type.
Field: TypeAlias = tuple[str, type]


def json_object(
    response: Response,
    *,
    decoder: type[json.JSONDecoder] | None = None,
    expected: Field | None = None,
    request: Request = Request.EVENTS,
) -> dict[str, Any]:
    """The server's object, or ``{}`` for a success without one.

    A success may be ``{"ok": true}``, empty, or a bare ``1`` (an idempotency key that a batch used
    first). Raises the error of the status, or ``SockudoConnectionError`` (``sent=True``) for a 2xx
    that is not JSON: it came from a proxy, and proves nothing. ``decoder``: reads it instead of ``json``'s.
    ``expected``: the requested field; a 2xx without it proves nothing either. ``request``: as of :func:`error_of`.
    """
    if not 200 <= response.status < 300:
        raise error_of(response, request)
    answer, lack = None, ""
    if response.body.strip():
        try:
            answer = json.loads(response.body, cls=decoder)
        except (ValueError, RecursionError):
            lack = "that is not JSON"
    if not isinstance(answer, dict) or answer == {"ok": True}:
        answer = {}
    if not lack and expected is not None and not isinstance(answer.get(expected[0]), expected[1]):
        lack = f"without {expected[0]!r}"
    if lack:
        raise NoAnswer(
            f"HTTP {response.status} with a body of {len(response.body)} bytes {lack} (its result is unknown)",
            sent=True,
        )
    return answer


def error_of(response: Response, request: Request = Request.EVENTS) -> SockudoHTTPError:
    """The error of an answer that is not success, with the server's code, and its text if that is Sockudo's own.

    ``request`` decides what the answer proves: a 400 that leaves a batch in doubt says of one event that it is not
    out.
    """
    from ...server_texts import MAX_CHARACTERS, known_code, shown_text  # a client that gets no error needs no texts

    code: str | None = None
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        # The rate limiter has "error" and "message", everything else "error" and "code".
        texts = [answer[name] for name in ("error", "message") if isinstance(answer.get(name), str)]
        message = ": ".join(texts)
        code = answer.get("code") if isinstance(answer.get("code"), str) else None
    else:
        message = answer if isinstance(answer, str) else response.body[:MAX_CHARACTERS].decode(errors="replace")
    media_type, size = response.headers.get("Content-Type"), len(response.body)
    message = shown_text(message, media_type=media_type, size=size, is_shown=response.is_shown)
    if len(message) > MAX_MESSAGE_CHARACTERS:
        message = message[:MAX_MESSAGE_CHARACTERS] + "…"
    shown_code = known_code(code, is_shown=response.is_shown)
    error = error_for_status(response.status, shown_code, message, retry_after(response, now=time.time()))
    if (code is None and _before_publishing(response)) or _refuses_all(error, request):
        error.sent = False
    return error


def _refuses_all(error: SockudoHTTPError, request: Request) -> bool:
    """Whether an answer proves that this kind of request had no effect."""
    is_refusal = 400 <= error.status < 500 and error.status not in _NO_REFUSALS
    match request:
        case Request.QUERY:
            return True
        case Request.ONE:
            return is_refusal
        case Request.CHANNELS:
            return is_refusal and error.code in _OF_THE_EVENT
        case Request.EVENTS:
            return False
        case _ as never:
            assert_never(never)


def _before_publishing(response: Response) -> bool:
    """Whether an answer without a code of Sockudo's own was given before its publishing code ran.

    Bodies too large, of another type or not readable are refused by the framework's extractor, or by a
    proxy, before any item is looked at (docs/server.md, 1.2). A proxy with that setting sends
    ``X-Upstream-Bytes-Sent: 0`` if it could not connect (docs/deployment.md).
    """
    if response.status in (502, 504):
        return response.headers.get("X-Upstream-Bytes-Sent", "").strip() == "0"
    if response.status in (400, 422):
        return response.body.startswith(_UNREADABLE)
    return response.status in (405, 411, 413, 414, 415, 417, 431)


def retry_after(response: Response, *, now: float) -> float | None:
    """Seconds from a ``Retry-After`` header, which holds seconds or a date; ``None`` without a readable one."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    if not text:
        return None
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None

"""The error texts of Sockudo 5.2.0, and what is shown of an answer's text.

A server or proxy that echoes the request brings payloads, signatures and secrets into its answer. So of an answer's
text only Sockudo's own wording is stored, logged and raised, without the names and values that it quotes. Any other
text is shown only where the settings allow it (``SOCKUDO_SHOW_ANSWERS``). Pure. Facts: docs/server.md, 1.2 and 4.2.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .redaction import printable, redact

__all__ = ["MAX_CHARACTERS", "known_code", "known_text", "shown_text"]

#: Characters of an answer's text that are looked at: Sockudo quotes a channel with each of its invalid characters.
MAX_CHARACTERS = 8_000

#: Texts of Sockudo's JSON errors; ``{n}``: a number, which is kept; ``{}``: a name or value, which is not.
_TEXTS = (
    # An event, and a batch (http_handler/events).
    "Event name is required",
    "Event name '{}' exceeds maximum length of {n}",
    "Event payload size ({n} bytes) for event '{}' exceeds limit ({n}KB)",
    "Number of channels ({n}) exceeds limit ({n})",
    "Batch size ({n}) exceeds limit ({n})",
    "Batch size{}",
    "Request must contain 'channels' (list) or 'channel' (string)",
    "user_count and subscription_count are unavailable in api server role",
    "socket_id cannot be verified in the api server role{}",
    "Invalid socket_id: {}",
    # Channels (sockudo-core/utils.rs, http_handler/channels.rs).
    "Channel name too long. Max length is {n}",
    "Channel name contains invalid characters",
    "Channel name contains invalid characters: '{}' (invalid chars: {})",
    "Unknown channel namespace '{}'",
    "Channel '{}' does not match namespace '{}' pattern",
    "Channel '{}' has an empty user limit segment",
    "Channel '{}' must specify at least one user id",
    "Channel '{}' contains multiple user limit separators",
    "Channel '{}' contains an empty user id in its user limit segment",
    "Channel '{}' contains an invalid user id in its user limit segment",
    "Channel '{}' uses user-limited syntax but the namespace does not allow it",
    "Namespace '{}' does not allow user-limited channels",
    "Only presence channels support this endpoint",
    "user_count is only available for presence channels",
    "user_count is only available for presence channels. Use filter_by_prefix=presence-",
    # Message ids and idempotency keys.
    "idempotency key was already used with a different payload",
    "idempotency key must not be empty",
    "idempotency key exceeds {n} bytes",
    "Idempotency key exceeds maximum length of {n} characters",
    "idempotent publish is still in progress",
    "Idempotent batch publish is still in progress",
    "Idempotency coordination is temporarily unavailable",
    "message_id must not be empty",
    "message_id exceeds {n} bytes",
    # Signatures (sockudo-core/auth.rs, middleware.rs).
    "Missing authentication query parameters",
    "Invalid authentication query parameters: {}",
    "Application key not found or invalid: Invalid app key",
    "Application does not exist",
    "Authenticated app does not match route app_id",
    "Authenticated app did not match route app id",
    "Invalid API signature",
    "Invalid auth_timestamp format",
    "Timestamp expired or too far in the future",
    "auth_timestamp is missing",
    "body_md5 mismatch",
    "body_md5 is required and must be non-empty in query parameters for POST requests with a non-empty body",
    "body_md5 must not be present in query parameters for POST requests with an empty body",
    "body_md5 must not be present in query parameters for {} requests",
    # AI Transport and versioned messages.
    "AI Transport is not enabled for this channel",
    "mutations not permitted on this channel",
    "accumulated message content exceeds {n} bytes",
    "message append count exceeds {n}",
    "open streaming message count exceeds {n}",
    "op_id must be 1..={n} bytes",
    "Versioned messages are disabled for channel '{}'",
    "Message '{}' was not found in channel '{}'",
    "cannot append to a terminal message",
    # History.
    "Durable history is disabled by policy for channel '{}'",
    "Presence history is disabled by policy for channel '{}'",
    "History limit must be greater than 0",
    "Presence history limit must be greater than 0",
    "Invalid direction '{}'. Accepted values: newest_first, oldest_first, backwards, forwards",
    "Invalid history cursor: {}",
    "Invalid presence history cursor: {}",
    "Expired history cursor: cursor points before retained history",
    "Expired history cursor: channel stream changed",
    *(
        f"{kind} cursor {part} the request"
        for kind in ("History", "Presence history")
        for part in ("app does not match", "channel does not match", "direction does not match", "bounds do not match")
    ),
    "version-history cursor direction does not match request",
    "start_serial must be less than or equal to end_serial",
    "start_time_ms must be less than or equal to end_time_ms",
    "confirm_channel must exactly match the channel path",
    "confirm_operation must be '{}'",
    "reason must not be empty",
    # Annotations, revocations.
    "Annotations are disabled globally for channel '{}'",
    "Annotations are disabled by channel policy for channel '{}'",
    "Annotation '{}' was not found in channel '{}'",
    "Annotation '{}' does not target message '{}'",
    "Only annotation.create events can be deleted",
    "annotation type must use namespace:summarizer.version",
    "annotation payload is too large",
    "revocation requires jti or client_id",
    # The server itself, and its rate limiter ("error: message").
    "Internal server error",
    "Application validation failed",
    "Connection termination failed",
    "Too Many Requests",
    "Too Many Requests: Rate limit exceeded. Please try again later.",
    "Internal Server Error: Rate limiter backend unavailable.",
    "Internal Server Error: Key extraction failed for rate limiting.",
    "draining",
    "server is draining",
    # Plain text of the web framework.
    "Not Found",
    "length limit exceeded",
    "Failed to buffer the request body: length limit exceeded",
    "Expected request with `Content-Type: application/json`",
    "Failed to deserialize query string: {}",
)
#: What may stand before one of these texts.
_BEFORE = "(?:Invalid channel name: )?"

#: How the web framework begins when it cannot read a body. Its reason may follow a path: `batch[0].extras.headers: …`.
_READERS = (
    "Failed to parse the request body as JSON: ",
    "Failed to deserialize the JSON body into the target type: ",
)
_FIELD = (
    r"(?:batch|name|data|channels?|info|socket_id|tags|delta|idempotency_key|message_id|extras|headers|ephemeral|echo"
    r"|ai|push|idempotencyKey|transport|codec|metadata|description|clear_fields|client_id|op_id|type|count|encoding"
    r"|reason|mode|jti|ttl_seconds|expires_at|requested_by|before_serial|before_time_ms)(?:\[\d{1,9}\])*"
)
_PATH = rf"(?:{_FIELD}|batch\[\d{{1,9}}\])(?:\.{_FIELD})*"
_KIND = (
    r"(?:string|integer|floating point|boolean|character|null|map|sequence|enum|unit value|unit variant"
    r"|newtype struct|newtype variant|struct variant|byte array|Option value)"
)
_EXPECTED = (
    r"(?:(?:an? )?(?:borrowed )?(?:string|str|map|boolean|sequence|integer|number|object|array|valid json|bool)"
    r"|a sequence of strings|a map of strings|another type|option|unit|[iu](?:8|16|32|64|128)|f(?:32|64)"
    r"|struct (?:Batch)?PusherApiMessage|struct MessageExtras|struct AiExtras)"
)
_REASON = "|".join(
    (
        rf"invalid (?:type|value): {_KIND}(?: …)?(?:, expected {_EXPECTED})?",
        r"unknown variant …",
        r"(?:missing|duplicate|unknown) field `(?:batch|name|data|channel|channels|message_id|socket_id|extras)`",
        r"data did not match any variant of untagged enum (?:ExtrasValue|ApiMessageData|MessageData)",
        r"recursion limit exceeded|number out of range|trailing (?:characters|comma)|expected (?:value|ident|colon)",
        r"expected `.`|expected `.` or `.`|key must be a string|invalid number|invalid escape",
        r"EOF while parsing a(?:n object| list| string| value)",
        r"control character \(\\u0000-\\u001F\) found while parsing a string",
        r"lone leading surrogate in hex escape|unexpected end of hex escape|invalid unicode code point",
    )
)
_PLACE = r"(?: at line \d{1,9} column \d{1,9})?"


def known_text(text: str) -> str | None:
    """The text on one line, without what it quotes, if it is one of Sockudo's; else ``None``."""
    text = redact(text[:MAX_CHARACTERS])
    for reader in _READERS:
        if text.startswith(reader):
            return reader + _readers_reason(text.removeprefix(reader))
    for pattern in _patterns():
        match = pattern.fullmatch(text)
        if match is not None:
            return _without_groups(match)
    return None


def _readers_reason(text: str) -> str:
    """The path and the reason, as far as they are known."""
    match = re.fullmatch(rf"(?:(?P<path>.*?): )?(?P<reason>{_REASON})(?P<rest>, .*?)?(?P<place>{_PLACE})", text)
    if match is None:
        return "…"
    path, rest = match["path"], match["rest"]
    known = re.match(_PATH, path or "")
    is_whole = known is not None and known[0] == path
    shown = "" if path is None else f"{known[0] if known else ''}{'' if is_whole else '…'}: "
    return shown + match["reason"] + (", …" if rest else "") + match["place"]


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile(_BEFORE + re.escape(text).replace(r"\{n\}", r"\d{1,20}").replace(r"\{\}", "(.*?)"), re.IGNORECASE)
        for text in _TEXTS
    )


def _without_groups(match: re.Match[str]) -> str:
    """The matched text with ``…`` in place of each group."""
    parts, at = [], 0
    for number in range(1, len(match.groups()) + 1):
        start, end = match.span(number)
        parts += [match.string[at:start], "…"]
        at = end
    return "".join(parts) + match.string[at:]


#: Codes of Sockudo (http_handler/errors.rs), and ``fault`` of the embedded one.
_CODES = frozenset(
    {
        *("app_not_found", "app_validation_failed", "auth_failed", "backpressure", "draining", "fault"),
        *("feature_disabled", "forbidden", "header_build_error", "internal_error", "invalid_input", "limit_exceeded"),
        *("missing_channel_info", "not_found", "not_implemented", "payload_too_large", "rate_limited"),
        *("serialization_error", "service_unavailable", "termination_failed"),
        *("ai_event_not_permitted", "ai_header_too_large", "ai_invalid_transport_header"),
    }
)
#: Codes of AI rules begin so; later releases may have more. The rest of an unknown one is text of the answer.
_AI = "ai_"
#: Characters of a code that are shown where the settings allow any.
MAX_CODE_CHARACTERS = 64


def known_code(code: object, *, is_shown: bool) -> str | None:
    """The machine code of an error, if it is one of Sockudo's; ``ai_…`` for another of AI rules. Else ``None``.

    ``is_shown``: the settings allow any text.
    """
    if not isinstance(code, str):
        return None
    if is_shown:
        return printable(code[:MAX_CODE_CHARACTERS])
    return code if code in _CODES else f"{_AI}…" if code.startswith(_AI) else None


#: Media types that are named: a type is text of the answer too.
_MEDIA_TYPES = frozenset(
    ("application/json", "application/problem+json", "application/xml", "text/html", "text/plain", "text/xml")
)


def shown_text(text: str, *, media_type: str | None, size: int, is_shown: bool) -> str:
    """What is shown of an answer's text.

    ``media_type``: its ``Content-Type``; ``size``: bytes of its body. ``is_shown``: the settings allow any text.
    """
    if is_shown:
        return printable(redact(text[:MAX_CHARACTERS]))
    known = known_text(text)
    if known is not None:
        return printable(known)
    if not size:
        return ""
    named = (media_type or "").partition(";")[0].strip().lower()
    kind = named if named in _MEDIA_TYPES else "another type" if named else "no type"
    return f"text not shown ({kind}, {size} bytes; SOCKUDO_SHOW_ANSWERS=1 shows it)"

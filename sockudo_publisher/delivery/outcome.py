"""What one POST of a batch proves. Pure; a row of docs/outcomes.md each.

Facts: Sockudo's answers were read in its source and seen on 5.2.0 (error codes in
``crates/sockudo-server/src/http_handler/errors.rs``); the code alone is ambiguous, so some rows read
the text too. Where the answer proves nothing it is UNKNOWN: the event may be out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from ..server_texts import MAX_CHARACTERS, known_code, shown_text

__all__ = ["Finding", "NoReply", "Outcome", "Reply", "blame_item", "classify"]

#: Characters of the server's error text that are kept.
MAX_MESSAGE = 500

#: Digits of a limit that is read: Python refuses to read numbers of thousands of digits.
MAX_DIGITS = 18

#: The longest ``Retry-After`` that is obeyed, in seconds: a proxy's mistake must not stop an app for days.
MAX_RETRY_AFTER_S = 600.0


#: How the codes begin by which Sockudo refuses one event for its rules on AI events (`ai-output`, `extras.ai`, ...),
#: also with 403: neighbours of it in the batch are published.
AI_RULES = "ai_"


class Outcome(Enum):
    """What an attempt proves."""

    ACCEPTED = "accepted"  # a receipt for every item
    NOT_SENT = "not sent"  # nothing can have arrived
    UNKNOWN = "unknown"  # it may be out, all of it or a prefix
    STUCK = "stuck"  # one item's claim is pending: another attempt runs, or was cut
    BUSY = "busy"  # the server (or its limiter) takes nothing now
    REFUSED = "refused"  # one item's content
    CONFLICT = "conflict"  # one item's id was used with other bytes
    MISCOUNTED = "miscounted"  # one item is no event, or several
    TOO_LARGE = "too large"  # the batch, not an item
    MISCONFIGURED = "misconfigured"  # address, app, key, clock: nothing was published


@dataclass(frozen=True)
class NoReply:
    """No answer. ``sent=False``: the request certainly never left."""

    sent: bool
    message: str = ""


@dataclass(frozen=True)
class Reply:
    """An answer. ``headers`` have lower-case names; ``is_shown``: its text may be stored and logged, whatever it is."""

    status: int
    body: bytes = field(repr=False)  # it may quote the request
    headers: Mapping[str, str] = field(repr=False)
    is_shown: bool = False


Result: TypeAlias = Reply | NoReply


@dataclass(frozen=True)
class Finding:
    """The outcome, and what the answer says beside it.

    ``message``: the server's text, if it is Sockudo's own (``server_texts``), or the result of the request;
    ``retry_after_s``: from 1 s to ``MAX_RETRY_AFTER_S``; ``limit``: the batch size that the server named; ``culprit``:
    index of the first item that is not one event, where its bytes show it.
    """

    outcome: Outcome
    message: str = ""
    retry_after_s: float | None = None
    limit: int | None = None
    culprit: int | None = None


def classify(result: Result, item_count: int) -> Finding:
    """Say what one POST proves about its batch of ``item_count`` items. Pure."""
    if isinstance(result, NoReply):
        return Finding(Outcome.UNKNOWN if result.sent else Outcome.NOT_SENT, result.message)
    receipts = _receipts(result.body) if result.status == 200 else -1
    if receipts == item_count:
        return Finding(Outcome.ACCEPTED)
    if receipts > item_count:  # each is one of Sockudo's own: an item holds several events
        return Finding(Outcome.MISCOUNTED, f"200 with {receipts} receipts for a batch of {item_count}")
    error = _sockudo_error(result.body)
    message = _shown(result, error)
    with_status = f"HTTP {result.status}: {message}" if message else f"HTTP {result.status}"
    match result.status:
        case 200:
            return Finding(Outcome.UNKNOWN, f"200 without a receipt for each of {item_count} items")
        case 502 | 504 if _nothing_went_upstream(result):
            return Finding(Outcome.NOT_SENT, with_status)
        case 503 if error and error.code == "backpressure" and "in progress" in error.text.lower():
            return Finding(Outcome.STUCK, message)
        case 429 | 503:
            return Finding(Outcome.BUSY, with_status, retry_after_s=_retry_after(result))
        case 400 | 403 | 413 if error and error.code.startswith(AI_RULES):
            return Finding(Outcome.REFUSED, message)
        case 401 | 403 | 404 | 405:
            return Finding(Outcome.MISCONFIGURED, with_status)
        case status if 300 <= status < 400:
            return Finding(Outcome.MISCONFIGURED, f"HTTP {status}: redirected, is SOCKUDO_URL right?")
        case 413 if not (error and error.code == "payload_too_large"):
            return Finding(Outcome.TOO_LARGE, message)
        case 400 if error and _is_about_batch_size(error):
            return Finding(Outcome.TOO_LARGE, message, limit=_named_limit(error.text))
        case 400 if error and "already used with a different payload" in error.text:
            return Finding(Outcome.CONFLICT, message)
        case 400 | 413 | 422 if (error and error.code) or _is_extractors(result):
            return Finding(Outcome.REFUSED, message)
        case _:  # other 5xx; the text of a proxy or gateway, which must not condemn an event: it may be out
            return Finding(Outcome.UNKNOWN, with_status)


def blame_item(finding: Finding, result: Result, faults: Sequence[str]) -> Finding:
    """The same finding, unless a 200 does not fit its batch and an item of it is to blame by its own bytes.

    ``faults``: what is wrong with each item, ``""`` for nothing. An item in order is never blamed for an answer.
    """
    is_odd = isinstance(result, Reply) and result.status == 200 and finding.outcome is not Outcome.ACCEPTED
    culprit = next((index for index, fault in enumerate(faults) if fault), None)
    if not is_odd or culprit is None:
        return finding
    return Finding(Outcome.MISCOUNTED, f"{finding.message}; item: {faults[culprit]}", culprit=culprit)


@dataclass(frozen=True)
class _SockudoError:
    code: str
    text: str = field(repr=False)  # it may quote the request


def _sockudo_error(body: bytes) -> _SockudoError | None:
    """Sockudo's own ``{"error", "code", "status"}``; ``None``: another program answered."""
    if not body.lstrip().startswith(b"{"):
        return None
    parsed = _json(body)
    if not isinstance(parsed, dict) or not isinstance(parsed.get("error"), str):
        return None
    code = parsed.get("code")
    return _SockudoError(code if isinstance(code, str) else "", " ".join(parsed["error"][:MAX_CHARACTERS].split()))


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # truncated, not UTF-8, HTML, or built to break a parser
        return None


def _receipts(body: bytes) -> int:
    """How many items of a batch answer carry an ``acknowledgement_id``; -1 when one does not."""
    parsed = _json(body)
    items = parsed.get("batch") if isinstance(parsed, dict) else None
    if not isinstance(items, list):
        return -1
    for item in items:
        receipt = item.get("acknowledgement_id") if isinstance(item, dict) else None
        # The id, or with versioned messages the serial; `true` is an answer of another program.
        if not receipt or not isinstance(receipt, str | int) or isinstance(receipt, bool):
            return -1
    return len(items)


def _nothing_went_upstream(reply: Reply) -> bool:
    # Our nginx sends `X-Upstream-Bytes-Sent: $upstream_bytes_sent`: 0 when Sockudo could not be connected to.
    return reply.headers.get("x-upstream-bytes-sent", "").strip() == "0"


def _is_about_batch_size(error: _SockudoError) -> bool:
    # A long event name is `limit_exceeded` too: only the text tells them apart.
    return error.code == "limit_exceeded" and error.text.lower().startswith("batch size")


def _named_limit(text: str) -> int | None:
    """The limit in "Batch size (51) exceeds limit (50)": the last number."""
    numbers = re.findall(r"\d+", text)
    if len(numbers) < 2 or len(numbers[-1]) > MAX_DIGITS:
        return None
    return int(numbers[-1]) or None


def _retry_after(reply: Reply) -> float | None:
    text = reply.headers.get("retry-after", "").strip()
    if not re.fullmatch(r"[0-9]+", text):
        return None
    return min(max(1.0, float(text)), MAX_RETRY_AFTER_S)


def _is_extractors(reply: Reply) -> bool:
    # Bad JSON (400) and wrong types (422) are answered in plain text, before Sockudo's own code runs (axum's
    # `Json` extractor). Proxies answer 400 in plain text too, and for every event alike.
    return reply.headers.get("content-type", "").lower().startswith("text/plain") and reply.body.startswith(
        (b"Failed to parse the request body as JSON", b"Failed to deserialize the JSON body")
    )


def _shown(reply: Reply, error: _SockudoError | None) -> str:
    """What is stored and logged of the answer's text."""
    text = error.text if error else _excerpt(reply)
    media_type, size = reply.headers.get("content-type"), len(reply.body)
    shown = shown_text(text, media_type=media_type, size=size, is_shown=reply.is_shown)
    code = known_code(error.code, is_shown=reply.is_shown) if error else None
    return (f"{code}, {shown}" if code and shown.startswith("text not shown") else shown)[:MAX_MESSAGE]


def _excerpt(reply: Reply) -> str:
    """The text without markup, as a proxy's page has it."""
    return re.sub(r"<[^>]*>", " ", reply.body[:MAX_CHARACTERS].decode("utf-8", errors="replace"))

"""A server model: what Sockudo 5.2.0 does with a batch, one request at a time, with a clock of the test's own.

Its answers and its dedup records are also those of tests/simulation/server.py, whose requests overlap in virtual time.
Its answers are the real server's (tests/integration/delivery/test_real_answers.py compares them). It
remembers ids for ``ttl_s`` after accepting them; a cut request leaves one claim pending, which answers
"in progress" until its own time is over and is not refreshed by resends.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sockudo_publisher.delivery.outcome import NoReply, Reply

#: Seconds that one request takes, and one that waits for a pending claim (seen: 1.06 s).
REQUEST_S = 0.01
CLAIM_WAIT_S = 1.06

JSON = {"content-type": "application/json", "connection": "close"}
TEXT = {"content-type": "text/plain; charset=utf-8", "connection": "close"}
HTML = {"content-type": "text/html"}


def error(status: int, code: str, text: str, **headers: str) -> Reply:
    """Sockudo's own error answer."""
    body = json.dumps({"error": text, "code": code, "status": status}).encode()
    return Reply(status, body, {**JSON, **headers})


STUCK = error(503, "backpressure", "idempotent publish is still in progress", **{"retry-after": "1"})
DRAINING = error(503, "draining", "Server is draining", **{"retry-after": "1"})
REFUSED = error(400, "invalid_input", "Channel name contains invalid characters: 'a b' (invalid chars: [' '])")
CONFLICT = error(400, "invalid_input", "idempotency key was already used with a different payload")
AI_EVENT = error(403, "ai_event_not_permitted", "AI Transport is not enabled for this channel")
LONG_NAME = error(400, "limit_exceeded", "Event name 'nnn' exceeds maximum length of 2")
PAYLOAD = error(413, "payload_too_large", "Event payload size (2000 bytes) for event 'n' exceeds limit (1KB)")
BODY_TOO_LARGE = Reply(413, b"Failed to buffer the request body: length limit exceeded", TEXT)
BAD_JSON = Reply(400, b"Failed to parse the request body as JSON: batch: EOF while parsing a list", TEXT)
WRONG_TYPE = Reply(
    422, b"Failed to deserialize the JSON body into the target type: batch[0].name: invalid type: integer `1`", TEXT
)
UNKNOWN_APP = error(404, "app_not_found", "Application key not found or invalid: Invalid app key")
BAD_SIGNATURE = error(401, "auth_failed", "Invalid API signature")


def batch_too_large(count: int, limit: int) -> Reply:
    """The answer to a batch of more items than the app may send at once."""
    return error(400, "limit_exceeded", f"Batch size ({count}) exceeds limit ({limit})")


def receipts(ids: Sequence[str]) -> Reply:
    """The answer to a batch that was accepted whole."""
    body = json.dumps({"batch": [{"acknowledgement_id": one} for one in ids]}, separators=(",", ":"))
    return Reply(200, body.encode(), JSON)


def item(message_id: str, channel: str = "c", data: str = "x") -> bytes:
    """One element of a batch, as the encoder makes it."""
    return json.dumps(
        {"channel": channel, "name": "n", "data": data, "message_id": message_id}, separators=(",", ":")
    ).encode()


def body_of(items: Sequence[bytes]) -> bytes:
    """The request body."""
    return b'{"batch":[' + b",".join(items) + b"]}"


# -- what can happen to a request ---------------------------------------------------------------------


@dataclass(frozen=True)
class NotSent:
    """The connection is refused."""


@dataclass(frozen=True)
class Cut:
    """The client goes away when the server has accepted ``after`` items and begun the next."""

    after: int


@dataclass(frozen=True)
class AnswerLost:
    """The server does all it does; its answer never comes."""


@dataclass(frozen=True)
class RequestLost:
    """Nothing arrives, and the sender cannot know."""


@dataclass(frozen=True)
class Answers:
    """Something answers before anything is done."""

    reply: Reply


@dataclass(frozen=True)
class Lie:
    """A full memory drops the claim of item ``at`` while it is published: "in progress"; those behind are not tried."""

    at: int = 0


Fault = NotSent | Cut | AnswerLost | RequestLost | Answers | Lie


@dataclass
class Record:
    """What the dedup memory has of an id: claimed (pending) or committed. ``data``: the payload it came with."""

    is_pending: bool
    until: float
    data: str = ""


@dataclass
class ServerModel:
    """One Sockudo node with its dedup memory.

    ``poison``: ids it refuses; ``foreign``: ids that another program used; ``oversized``: ids whose data is over the
    app's limit. ``delivered`` is what subscribers see: (channel, id) in order; ``requests``: the ids of each POST
    that arrived. ``faults`` are consumed one a request, ``None`` for a request that goes well.
    """

    now: Callable[[], float]
    pass_time: Callable[[float], None] = lambda seconds: None
    ttl_s: float = 120.0
    max_items: int | None = None
    max_bytes: int | None = None
    poison: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    oversized: set[str] = field(default_factory=set)
    faults: list[Fault | None] = field(default_factory=list)
    #: Items above which every request dies without an answer.
    dies_above: int | None = None
    #: The dedup memory takes no new id: what comes again is delivered again.
    is_full: bool = False
    delivered: list[tuple[str, str]] = field(default_factory=list)
    requests: list[list[str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    _memory: dict[tuple[str, str], Record] = field(default_factory=dict)

    def post(self, body: bytes) -> Reply | NoReply:
        """One attempt."""
        fault = self.faults.pop(0) if self.faults else None
        self.pass_time(REQUEST_S)
        if isinstance(fault, NotSent):
            return NoReply(sent=False, message="refused")
        items = json.loads(body)["batch"]
        self.requests.append([one["message_id"] for one in items])
        self.bodies.append(body)
        match fault:
            case Answers(reply):
                return reply
            case RequestLost():
                return NoReply(sent=True, message="timed out")
            case AnswerLost():
                self._process(items, len(body), None)
                return NoReply(sent=True, message="reset")
            case Cut(after):
                self._process(items, len(body), after)
                return NoReply(sent=True, message="cut")
            case Lie(at) if at < len(items):
                self._process(items[: at + 1], len(body), None)
                self._memory.pop((items[at]["channel"], items[at]["message_id"]), None)
                return STUCK
        if self.dies_above is not None and len(items) > self.dies_above:
            return NoReply(sent=True, message="timed out")
        return self._process(items, len(body), None)

    def claim(self, message_id: str, channel: str = "c") -> None:
        """Leave a pending claim, as an earlier cut request did."""
        self._memory[channel, message_id] = Record(is_pending=True, until=self.now() + self.ttl_s)

    def release(self, message_id: str, channel: str = "c") -> None:
        """The time of a claim is over."""
        del self._memory[channel, message_id]

    def forget(self) -> None:
        """Restart: nothing is remembered."""
        self._memory.clear()

    def repeated(self) -> dict[tuple[str, str], int]:
        """What subscribers saw more than once."""
        return {one: count for one, count in Counter(self.delivered).items() if count > 1}

    def seen(self, channel: str) -> list[str]:
        """The ids that subscribers of a channel saw, in order."""
        return [message_id for name, message_id in self.delivered if name == channel]

    def _process(self, items: list[dict[str, str]], size: int, cut_after: int | None) -> Reply:
        if self.max_bytes is not None and size > self.max_bytes:
            return BODY_TOO_LARGE
        if self.max_items is not None and len(items) > self.max_items:
            return batch_too_large(len(items), self.max_items)
        for number, one in enumerate(items):
            message_id, place = one["message_id"], (one["channel"], one["message_id"])
            if message_id in self.poison:
                return REFUSED
            if message_id in self.oversized:
                return PAYLOAD
            known = self._memory.get(place)
            if known is not None and known.until <= self.now():
                known = None
            if message_id in self.foreign or (known is not None and not known.is_pending and known.data != one["data"]):
                return CONFLICT
            if known is not None and known.is_pending:
                self.pass_time(CLAIM_WAIT_S)
                return STUCK
            if known is None:
                pending = number == cut_after
                if not self.is_full:
                    self._memory[place] = Record(pending, self.now() + self.ttl_s, one["data"])
                if pending:
                    return STUCK  # the client is gone
                self.delivered.append(place)
        return receipts([one["message_id"] for one in items])

"""Collect facts from Sockudo: one request after the other, until the time is up or no answer comes. Decides nothing.

All events that the server accepts go to :data:`CHANNEL`, about 700 at most; each new id takes a place in the dedup
memory, as any event does. The most informative requests come first; dropped requests, which take longest, come last.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from requests.utils import get_environ_proxies, select_proxy

from ...client.http.credentials import Credentials
from ...client.http.transport import Response, Transport
from ...client.sockudo import Sockudo
from ...client.wire.encoding import batch_body
from ...client.wire.limits import MAX_CHANNEL_BYTES, MAX_EVENT_NAME_BYTES
from ...delivery.outcome import Outcome, Reply, classify
from ...errors import SockudoConnectionError
from .connection import open_websocket
from .dropped_request import drop_batch
from .server_reply import ServerReply, batch_limit, read_reply
from .values import Access, CanaryCounts, Cut, LimitAnswer, NodeAnswer, NodeLoad, is_open

__all__ = ["CHANNEL", "SockudoFacts", "collect_sockudo_facts"]

#: The channel of all events that the doctor publishes; it has no subscribers.
CHANNEL = "sockudo-publisher-doctor"
#: Seconds for one answer: the default timeout of a client.
ANSWER_S = 5.0
#: Ids that are planted and checked: with fewer than ten, chance decides near a cache's limit.
CANARIES = 10
#: Seconds before they are checked: a full memory cache drops a new id a moment after it stored it, not at once.
MIN_AGE_S = 1.0
#: Events of a dropped request; the server may finish a smaller batch before it notices that the connection is closed.
CUT_EVENTS = 500
MIN_CUT_EVENTS = 200
#: New ids at the batch's end: Sockudo checks at every 64th new id whether its client is gone. All events before them
#: have one id: a replay takes the server as long, without that check, and gives time to close the connection.
CUT_NEW = 130
#: Bytes of the replayed event's data; the next number is used if the server or a proxy refuses one. 8,000 make 0.15 s
#: of work (two shared cores): 28 of 30 such batches stopped in the middle, also beside four busy processes.
CUT_BYTES = (8000, 4000, 2000)
#: One dropped request each: seconds between its last byte and the reset.
CUTS_S = (0.002, 0.001, 0.005, 0.002)
#: Payloads under one id, one connection each. This order reveals two, three and four nodes that take turns.
TURNS = "ABBBBAABBA"
#: Ids for that, at most: nodes that are chosen at random may escape one.
MAX_ROUNDS = 3
#: Connections for the nodes' own numbers: three nodes chosen at random escape once in ten million times.
LOADS = 16
#: The largest body that is sent, in bytes, even if SOCKUDO_BATCH_MAX_BYTES is larger.
MAX_BYTES = 16 * 1024 * 1024


@dataclass
class SockudoFacts:
    """The collected facts. Each answer is stored at once, so that a run which is out of time keeps the earlier ones."""

    access: Access
    through: str = ""
    canaries: CanaryCounts | None = None
    batch_events: LimitAnswer | None = None
    batch_bytes: LimitAnswer | None = None
    event_bytes: LimitAnswer | None = None
    event_name: LimitAnswer | None = None
    channel_name: LimitAnswer | None = None
    history: ServerReply | None = None
    cuts: list[Cut] | None = None
    answers: list[NodeAnswer] = field(default_factory=list)
    loads: list[NodeLoad] = field(default_factory=list)
    connected: bool = False
    answered: bool = False
    rate_limit: int | None = None
    rate_limited: bool = False


@dataclass(frozen=True)
class Wanted:
    """The limits in our settings: events and bytes of a batch, bytes of an event's data."""

    batch_events: int
    batch_bytes: int
    event_bytes: int


class _StopAsking(Exception):
    """No answer comes, or the time is up, or the rate limiter refuses requests."""


def collect_sockudo_facts(
    facts: SockudoFacts, client: Sockudo, credentials: Credentials, wanted: Wanted, *, until: float
) -> None:
    """Fill in ``facts``, until the instant ``until`` of ``time.monotonic()`` at the latest."""
    questions = _Questions(facts, client, until)
    proxy = select_proxy(credentials.base_url, get_environ_proxies(credentials.base_url))
    facts.through = proxy.partition(":")[0] if proxy else ""
    try:
        _collect_access(facts, questions)
        if not is_open(facts.access):
            return
        planted = _plant_canaries(facts, questions)
        _collect_limits(facts, questions, wanted)
        facts.history = read_reply(questions.ask("GET", f"/channels/{CHANNEL}/history"))
        _collect_node_answers(facts, questions)
        _collect_loads(facts, questions, credentials, proxy=bool(proxy))
        _check_canaries(facts, questions, planted)
        if not proxy:
            _drop_requests(facts, questions, credentials)
    except _StopAsking:
        return


class _Questions:
    """Sends signed requests within the remaining time, and records the rate limit that each answer names."""

    def __init__(self, facts: SockudoFacts, client: Sockudo, until: float) -> None:
        self._facts = facts
        self._client = client
        self._until = until

    def remaining_s(self) -> float:
        return self._until - time.monotonic()

    def send(self, method: str, suffix: str, body: bytes | None = None) -> Response:
        """Send one request. Raises ``SockudoConnectionError``, and :class:`_StopAsking` when the time is up."""
        left = min(ANSWER_S, self.remaining_s())
        if left <= 0:
            raise _StopAsking
        response = self._client.send(method, suffix, body=body, timeout=left)
        self._facts.answered = True
        limit = response.headers.get("X-RateLimit-Limit", "")
        if limit.isascii() and limit.isdigit():
            self._facts.rate_limit = int(limit)
        if response.status == 429:
            self._facts.rate_limited = True
        return response

    def ask(self, method: str, suffix: str, body: bytes | None = None) -> Response:
        """As :meth:`send`; raises :class:`_StopAsking` for a 429 and when no answer comes."""
        try:
            response = self.send(method, suffix, body)
        except SockudoConnectionError:
            raise _StopAsking from None
        if response.status == 429:
            raise _StopAsking
        return response

    def batch(self, *items: Mapping[str, Any]) -> Response:
        return self.ask("POST", "/batch_events", batch_body([_json(item) for item in items]))

    def outcome(self, *items: Mapping[str, Any]) -> Outcome:
        response = self.batch(*items)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return classify(Reply(response.status, response.body, headers), len(items)).outcome

    def remembers(self, id: str) -> bool | None:
        """Whether the server refuses another payload under this id. Use each id once: the other is stored."""
        return {Outcome.CONFLICT: True, Outcome.ACCEPTED: False}.get(self.outcome(_event(id, "asked")))


def _json(item: Mapping[str, Any]) -> bytes:
    return json.dumps(item, separators=(",", ":")).encode()


def _event(id: str, data: str = "canary") -> dict[str, Any]:
    # Ephemeral: a server with history does not record it.
    event = {"name": "probe", "channel": CHANNEL, "data": data, "message_id": id}
    return {**event, "extras": {"ephemeral": True}}


def _collect_access(facts: SockudoFacts, questions: _Questions) -> None:
    before = time.time()
    try:
        response = questions.send("POST", "/batch_events", b'{"batch":[]}')
    except SockudoConnectionError as error:
        facts.access = Access(facts.access.setting, facts.access.app_id, failure=str(error))
        return
    ahead = _ahead_s(response.headers.get("Date"), before, time.time())
    facts.access = Access(facts.access.setting, facts.access.app_id, reply=read_reply(response), ahead_s=ahead)


def _ahead_s(date: str | None, before: float, after: float) -> float | None:
    """Seconds by which a ``Date`` (whole seconds) lies outside of the time between ``before`` and ``after``; else 0."""
    if date is None:
        return None
    try:
        seconds = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return seconds - after if seconds > after else min(0.0, seconds + 1 - before)


def _plant_canaries(facts: SockudoFacts, questions: _Questions) -> tuple[list[str], float]:
    ids = [uuid.uuid4().hex for _ in range(CANARIES)]
    response = questions.batch(*map(_event, ids))
    facts.canaries = CanaryCounts(planted=len(ids), receipts=_count_receipts(response))
    return ids, time.monotonic()


def _count_receipts(response: Response) -> int:
    try:
        items = json.loads(response.body)["batch"]
        return sum(1 for item in items if item.get("acknowledgement_id"))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return 0


def _collect_limits(facts: SockudoFacts, questions: _Questions, wanted: Wanted) -> None:
    """Send batches that the server refuses as a whole, after it has checked the limit (``checks.limits``)."""
    facts.batch_events = LimitAnswer(
        wanted.batch_events, read_reply(_send_nameless_batch(questions, wanted.batch_events))
    )
    invalid = {"name": "probe", "channel": "not a channel"}
    data = "x" * min(wanted.event_bytes, MAX_BYTES)
    facts.event_bytes = LimitAnswer(len(data), read_reply(questions.batch({**invalid, "data": data})))
    name = "n" * MAX_EVENT_NAME_BYTES
    facts.event_name = LimitAnswer(len(name), read_reply(questions.batch({**invalid, "data": "x", "name": name})))
    channel = (CHANNEL + "-" * MAX_CHANNEL_BYTES)[:MAX_CHANNEL_BYTES]
    facts.channel_name = LimitAnswer(len(channel), read_reply(questions.batch({**_event(""), "channel": channel})))
    size = min(wanted.batch_bytes, MAX_BYTES)
    body = batch_body([_json(_NAMELESS)])
    body = body[:-2] + b" " * (size - len(body)) + body[-2:]
    try:
        facts.batch_bytes = LimitAnswer(size, read_reply(questions.send("POST", "/batch_events", body)))
    except SockudoConnectionError:
        facts.batch_bytes = LimitAnswer(
            size, None
        )  # a proxy may close the connection before it has read the whole body


#: An event without a name: the server checks the batch's size first, and then refuses the event.
_NAMELESS = {"channel": CHANNEL, "data": "x"}


def _send_nameless_batch(questions: _Questions, count: int) -> Response:
    return questions.batch(_NAMELESS, *([_event("x")] * (count - 1)))


def _drop_requests(facts: SockudoFacts, questions: _Questions, credentials: Credentials) -> None:
    limit = batch_limit(read_reply(_send_nameless_batch(questions, CUT_EVENTS)))  # the app's limit may be smaller
    count = CUT_EVENTS if limit is None else min(CUT_EVENTS, limit)
    if count < MIN_CUT_EVENTS:
        return
    for size in CUT_BYTES:
        start = time.monotonic()
        _, body = _long_batch(count, size)
        try:
            taken = questions.send("POST", "/batch_events", body).status == 200
        except SockudoConnectionError:
            taken = False
        took_s = time.monotonic() - start
        if taken:
            break
    else:
        return
    # The server may still work on the batch: check early, and later again before the batch counts as stopped.
    waits_s = (0.3 + 2 * took_s, 1.0 + 6 * took_s)
    facts.cuts = []
    for after_s in CUTS_S:
        ids, body = _long_batch(count, size)
        if questions.remaining_s() <= sum(waits_s) + ANSWER_S:
            return
        if not drop_batch(credentials, body, after_s=after_s, within_s=ANSWER_S):
            return
        facts.cuts.append(_check_cut(questions, ids, waits_s))
        if facts.cuts[-1] is Cut.STOPPED:
            return  # proven; each further dropped request would leave a stuck event


def _long_batch(count: int, size: int) -> tuple[list[str], bytes]:
    """A batch's ids and its body, in which the first id is repeated."""
    ids = [uuid.uuid4().hex for _ in range(1 + CUT_NEW)]
    first = _json(_event(ids[0], "x" * size))
    return ids, batch_body([first] * (count - CUT_NEW) + [_json(_event(id)) for id in ids[1:]])


def _check_cut(questions: _Questions, ids: list[str], waits_s: tuple[float, float]) -> Cut:
    """How far the server came with a dropped request.

    To check an id is to publish it: a batch that is still running ends at that id. So the second check takes the id
    before it.
    """
    for id, wait_s in zip((ids[-1], ids[-2]), waits_s, strict=True):
        time.sleep(wait_s)
        remembered = questions.remembers(id)
        if remembered is None:
            return Cut.UNCLEAR
        if remembered:
            return Cut.FINISHED
    return {True: Cut.STOPPED, False: Cut.NOT_BEGUN, None: Cut.UNCLEAR}[questions.remembers(ids[0])]


def _collect_node_answers(facts: SockudoFacts, questions: _Questions) -> None:
    for _ in range(MAX_ROUNDS):
        id = uuid.uuid4().hex
        for payload in TURNS:
            outcome = questions.outcome(_event(id, payload))
            if outcome in (Outcome.ACCEPTED, Outcome.CONFLICT):
                facts.answers.append(NodeAnswer(payload, refused=outcome is Outcome.CONFLICT))
        if all(answer.refused is (answer.payload != TURNS[0]) for answer in facts.answers):
            return  # as one dedup memory answers


def _collect_loads(facts: SockudoFacts, questions: _Questions, credentials: Credentials, *, proxy: bool) -> None:
    """Collect each answering node's numbers from ``GET /stats``: unsigned, and often blocked by a proxy.

    Holds a WebSocket meanwhile, which one node counts: nodes without any connection look alike.
    """
    if proxy:
        _ask_loads(facts, questions, credentials)
        return
    with open_websocket(credentials, min(ANSWER_S, max(0.1, questions.remaining_s()))) as facts.connected:
        _ask_loads(facts, questions, credentials)


def _ask_loads(facts: SockudoFacts, questions: _Questions, credentials: Credentials) -> None:
    transport = Transport(credentials.base_url)
    for _ in range(LOADS):
        timeout_s = min(ANSWER_S, questions.remaining_s())
        if timeout_s <= 0:
            raise _StopAsking
        try:
            answer = transport.request("GET", f"{credentials.path_prefix}/stats", timeout=timeout_s)
            load = _load(json.loads(answer.body), credentials.app_id)
        except (SockudoConnectionError, ValueError, RecursionError, TypeError, LookupError, AttributeError):
            return
        finally:
            transport.close()  # a balancer may choose another node for the next connection
        facts.loads.append(load)


def _load(stats: Any, app_id: str) -> NodeLoad:
    """The app's part of ``GET /stats`` (seen on 5.2.0); a node without clients of the app has none."""
    for app in stats["apps"]:
        if app["app_id"] == app_id:
            occupancy = app["occupancy"]
            return NodeLoad(int(app["connections"]), int(occupancy["channels"]), int(occupancy["subscriptions"]))
    return NodeLoad()


def _check_canaries(facts: SockudoFacts, questions: _Questions, planted: tuple[list[str], float]) -> None:
    ids, planted_at = planted
    assert facts.canaries is not None
    time.sleep(max(0.0, min(planted_at + MIN_AGE_S - time.monotonic(), questions.remaining_s())))
    answers = [answer for id in ids if (answer := questions.remembers(id)) is not None]
    facts.canaries = CanaryCounts(
        planted=facts.canaries.planted,
        receipts=facts.canaries.receipts,
        asked=len(answers),
        remembered=sum(answers),
        age_s=time.monotonic() - planted_at,
    )

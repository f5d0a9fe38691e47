"""Ask Sockudo: one question after the other, until the time is up or nobody answers. Decides nothing.

What the server is to take goes to :data:`CHANNEL`, at most about 700 events; each new id takes
a place in the server's memory of ids, as any event does. The order puts the questions that say most
first, and asks for the canaries last, when they have the age that a run can give them.
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
from .dropped_request import drop_batch
from .server_reply import ServerReply, batch_limit, read_reply
from .values import Access, CanaryCounts, Cut, LimitAnswer, NodeAnswer, NodeLoad, is_open

__all__ = ["CHANNEL", "SockudoFacts", "look_at_sockudo"]

#: The channel of everything that is published here; nobody is expected to subscribe to it.
CHANNEL = "sockudo-publisher-doctor"
#: Seconds for one answer: five are what a client waits by default.
ANSWER_S = 5.0
#: Ids that are planted and asked for: below ten, chance decides near a cache's limit.
CANARIES = 10
#: Seconds before they are asked for: a full memory cache forgets a new id a moment after it took it, not at once.
MIN_AGE_S = 1.0
#: Events of a batch that is cut; a batch of fewer may be over before our going away can reach the server.
CUT_EVENTS = 500
FEWEST_CUT_EVENTS = 200
#: New ids at its end: Sockudo notices once in 64 of them that its client has gone. Before them stands one id again
#: and again: for a replay the server works as long and notices nothing, so that we have time to go.
CUT_NEW = 130
#: Bytes of the replayed event's data, the next where the server or a proxy refuses one. 8,000 make it 0.15 s
#: of work (two shared cores): of 30 such batches 28 stopped in the middle, also beside four busy processes.
CUT_BYTES = (8000, 4000, 2000)
#: Batches that are cut, and seconds after the last byte of each.
CUTS_S = (0.002, 0.001, 0.005, 0.002)
#: Payloads under one id, a connection each. Two, three and four nodes that take turns all show.
TURNS = "ABBBBAABBA"
#: Bytes of a body that are asked for at most, whatever SOCKUDO_BATCH_MAX_BYTES is.
MAX_BYTES = 16 * 1024 * 1024


@dataclass
class SockudoFacts:
    """Filled in as the answers come, so that what is known when the time is up is there."""

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
    answered: bool = False
    rate_limit: int | None = None
    rate_limited: bool = False


@dataclass(frozen=True)
class Wanted:
    """What our settings may send: events and bytes of a batch, bytes of an event's data."""

    batch_events: int
    batch_bytes: int
    event_bytes: int


class _NoMore(Exception):
    """Nobody answers any more, or the time is up, or all are refused for their number."""


def look_at_sockudo(
    facts: SockudoFacts, client: Sockudo, credentials: Credentials, wanted: Wanted, *, until: float
) -> None:
    """Fill in ``facts``, until the instant ``until`` of ``time.monotonic()`` at the latest."""
    questions = _Questions(facts, client, until)
    proxy = select_proxy(credentials.base_url, get_environ_proxies(credentials.base_url))
    facts.through = proxy.partition(":")[0] if proxy else ""
    try:
        _access(facts, questions)
        if not is_open(facts.access):
            return
        planted = _plant(facts, questions)
        _limits(facts, questions, wanted)
        facts.history = read_reply(questions.ask("GET", f"/channels/{CHANNEL}/history"))
        if not proxy:
            _cut(facts, questions, credentials)
        _take_turns(facts, questions)
        _ask_for_loads(facts, questions, credentials)
        _ask_for(facts, questions, planted)
    except _NoMore:
        return


class _Questions:
    """Signed requests within the time that is left; notes what every answer says of the rate limit."""

    def __init__(self, facts: SockudoFacts, client: Sockudo, until: float) -> None:
        self._facts = facts
        self._client = client
        self._until = until

    def remaining_s(self) -> float:
        return self._until - time.monotonic()

    def send(self, method: str, suffix: str, body: bytes | None = None) -> Response:
        """One answer. Raises ``SockudoConnectionError``, and :class:`_NoMore` when the time is up or for a 429."""
        left = min(ANSWER_S, self.remaining_s())
        if left <= 0:
            raise _NoMore
        response = self._client.send(method, suffix, body=body, timeout=left)
        self._facts.answered = True
        limit = response.headers.get("X-RateLimit-Limit", "")
        if limit.isascii() and limit.isdigit():
            self._facts.rate_limit = int(limit)
        if response.status == 429:
            self._facts.rate_limited = True
        return response

    def ask(self, method: str, suffix: str, body: bytes | None = None) -> Response:
        """The same, after which nothing more is asked when nobody answers."""
        try:
            response = self.send(method, suffix, body)
        except SockudoConnectionError:
            raise _NoMore from None
        if response.status == 429:
            raise _NoMore
        return response

    def batch(self, *items: Mapping[str, Any]) -> Response:
        return self.ask("POST", "/batch_events", batch_body([_json(item) for item in items]))

    def outcome(self, *items: Mapping[str, Any]) -> Outcome:
        response = self.batch(*items)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return classify(Reply(response.status, response.body, headers), len(items)).outcome

    def remembers(self, id: str) -> bool | None:
        """Whether the server refuses another payload under this id; it is asked once, since that stores the other."""
        return {Outcome.CONFLICT: True, Outcome.ACCEPTED: False}.get(self.outcome(_event(id, "asked")))


def _json(item: Mapping[str, Any]) -> bytes:
    return json.dumps(item, separators=(",", ":")).encode()


def _event(id: str, data: str = "canary") -> dict[str, Any]:
    # Ephemeral: where history is on, it keeps none of this.
    event = {"name": "probe", "channel": CHANNEL, "data": data, "message_id": id}
    return {**event, "extras": {"ephemeral": True}}


def _access(facts: SockudoFacts, questions: _Questions) -> None:
    before = time.time()
    try:
        response = questions.send("POST", "/batch_events", b'{"batch":[]}')
    except SockudoConnectionError as error:
        facts.access = Access(facts.access.setting, facts.access.app_id, failure=str(error))
        return
    ahead = _ahead_s(response.headers.get("Date"), before, time.time())
    facts.access = Access(facts.access.setting, facts.access.app_id, said=read_reply(response), ahead_s=ahead)


def _ahead_s(date: str | None, before: float, after: float) -> float | None:
    """By how much a ``Date``, which has whole seconds, cannot be of the time between ``before`` and ``after``."""
    if date is None:
        return None
    try:
        told = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return told - after if told > after else min(0.0, told + 1 - before)


def _plant(facts: SockudoFacts, questions: _Questions) -> tuple[list[str], float]:
    ids = [uuid.uuid4().hex for _ in range(CANARIES)]
    response = questions.batch(*map(_event, ids))
    facts.canaries = CanaryCounts(planted=len(ids), receipts=_receipts(response))
    return ids, time.monotonic()


def _receipts(response: Response) -> int:
    try:
        items = json.loads(response.body)["batch"]
        return sum(1 for item in items if item.get("acknowledgement_id"))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return 0


def _limits(facts: SockudoFacts, questions: _Questions, wanted: Wanted) -> None:
    """Ask with what is refused whole, after the limit in question was looked at (``limits``)."""
    facts.batch_events = LimitAnswer(wanted.batch_events, read_reply(_ask_for_room(questions, wanted.batch_events)))
    nowhere = {"name": "probe", "channel": "not a channel"}
    data = "x" * min(wanted.event_bytes, MAX_BYTES)
    facts.event_bytes = LimitAnswer(len(data), read_reply(questions.batch({**nowhere, "data": data})))
    name = "n" * MAX_EVENT_NAME_BYTES
    facts.event_name = LimitAnswer(len(name), read_reply(questions.batch({**nowhere, "data": "x", "name": name})))
    channel = (CHANNEL + "-" * MAX_CHANNEL_BYTES)[:MAX_CHANNEL_BYTES]
    facts.channel_name = LimitAnswer(len(channel), read_reply(questions.batch({**_event(""), "channel": channel})))
    size = min(wanted.batch_bytes, MAX_BYTES)
    body = batch_body([_json(_NAMELESS)])
    body = body[:-2] + b" " * (size - len(body)) + body[-2:]
    try:
        facts.batch_bytes = LimitAnswer(size, read_reply(questions.send("POST", "/batch_events", body)))
    except SockudoConnectionError:
        facts.batch_bytes = LimitAnswer(size, None)  # a proxy may hang up instead of reading all of it


#: What the server refuses after it has looked at the batch's size.
_NAMELESS = {"channel": CHANNEL, "data": "x"}


def _ask_for_room(questions: _Questions, count: int) -> Response:
    return questions.batch(_NAMELESS, *([_event("x")] * (count - 1)))


def _cut(facts: SockudoFacts, questions: _Questions, credentials: Credentials) -> None:
    limit = batch_limit(read_reply(_ask_for_room(questions, CUT_EVENTS)))  # ours may be smaller
    count = CUT_EVENTS if limit is None else min(CUT_EVENTS, limit)
    if count < FEWEST_CUT_EVENTS:
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
    # A batch may go on after its client has gone: a look, and a later one before it is called stopped.
    goes_on_s = (0.3 + 2 * took_s, 1.0 + 6 * took_s)
    facts.cuts = []
    for after_s in CUTS_S:
        ids, body = _long_batch(count, size)
        if questions.remaining_s() <= sum(goes_on_s) + ANSWER_S:
            return
        if not drop_batch(credentials, body, after_s=after_s, within_s=ANSWER_S):
            return
        facts.cuts.append(_fate(questions, ids, goes_on_s))
        if facts.cuts[-1] is Cut.STOPPED:
            return  # it is proven, and each further one would leave a stuck event


def _long_batch(count: int, size: int) -> tuple[list[str], bytes]:
    """Its ids, of which the first comes again and again, and its body."""
    ids = [uuid.uuid4().hex for _ in range(1 + CUT_NEW)]
    first = _json(_event(ids[0], "x" * size))
    return ids, batch_body([first] * (count - CUT_NEW) + [_json(_event(id)) for id in ids[1:]])


def _fate(questions: _Questions, ids: list[str], goes_on_s: tuple[float, float]) -> Cut:
    """How far a batch came. Asking for an id that is yet to come ends the batch there: the one before it is next."""
    for id, wait_s in zip((ids[-1], ids[-2]), goes_on_s, strict=True):
        time.sleep(wait_s)
        remembered = questions.remembers(id)
        if remembered is None:
            return Cut.UNCLEAR
        if remembered:
            return Cut.FINISHED
    return {True: Cut.STOPPED, False: Cut.NOT_BEGUN, None: Cut.UNCLEAR}[questions.remembers(ids[0])]


def _take_turns(facts: SockudoFacts, questions: _Questions) -> None:
    id = uuid.uuid4().hex
    for payload in TURNS:
        outcome = questions.outcome(_event(id, payload))
        if outcome in (Outcome.ACCEPTED, Outcome.CONFLICT):
            facts.answers.append(NodeAnswer(payload, refused=outcome is Outcome.CONFLICT))


def _ask_for_loads(facts: SockudoFacts, questions: _Questions, credentials: Credentials) -> None:
    """What each node that answers says of itself, on its own page of numbers: unsigned, and often not let through."""
    transport = Transport(credentials.base_url)
    for _ in TURNS:
        timeout_s = min(ANSWER_S, questions.remaining_s())
        if timeout_s <= 0:
            raise _NoMore
        try:
            answer = transport.request("GET", f"{credentials.path_prefix}/stats", timeout=timeout_s)
            load = _load(json.loads(answer.body), credentials.app_id)
        except (SockudoConnectionError, ValueError, RecursionError, TypeError, LookupError, AttributeError):
            return
        finally:
            transport.close()  # a balancer has another node for another connection
        facts.loads.append(load)


def _load(stats: Any, app_id: str) -> NodeLoad:
    """The app's part of ``GET /stats`` (seen on 5.2.0); a node that has met nobody of the app has none."""
    for app in stats["apps"]:
        if app["app_id"] == app_id:
            occupancy = app["occupancy"]
            return NodeLoad(int(app["connections"]), int(occupancy["channels"]), int(occupancy["subscriptions"]))
    return NodeLoad()


def _ask_for(facts: SockudoFacts, questions: _Questions, planted: tuple[list[str], float]) -> None:
    ids, at = planted
    assert facts.canaries is not None
    time.sleep(max(0.0, min(at + MIN_AGE_S - time.monotonic(), questions.remaining_s())))
    answers = [answer for id in ids if (answer := questions.remembers(id)) is not None]
    facts.canaries = CanaryCounts(
        planted=facts.canaries.planted,
        receipts=facts.canaries.receipts,
        asked=len(answers),
        remembered=sum(answers),
        age_s=time.monotonic() - at,
    )

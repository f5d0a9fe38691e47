"""Appending: what happens between an application's call and the event being stored.

One script call per lane and flush. Nothing here retries: a failure tells what is stored. Where lanes fail
in several ways, the failure is one whose lane may have stored something, if there is such a lane.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import BacklogFull, IdempotencyConflict, JournalUnavailable, JournalUnreadable
from .layout.layout import Layout, LayoutRecord, Span
from .pack import Item, packs
from .redis.link import CALLER_TIMEOUT_S, Command, RedisLink, checked, evalsha
from .redis.refusal import describe_refusal, is_out_of_memory
from .redis.scripts import Answer
from .unreadable import wrong_keys

__all__ = ["Appended", "KeyedItem", "Producer"]

logger = logging.getLogger("sockudo_publisher.journal")

#: Share of `maxmemory` above which nothing is appended: the rest is for draining, dead letters and the broker.
MEMORY_SHARE = 0.9

#: Seconds between two looks at Redis' memory in one process.
MEMORY_LOOK_S = 1.0

#: Seconds until a look that Redis has refused is tried again: rights are changed while a process runs.
REFUSED_LOOK_S = 60.0

#: Seconds between two looks at the layout of the lanes. One that is older than that is not wrong, as a
#: closed lane says so itself; it only costs a round trip.
LAYOUT_LOOK_S = 5.0

#: How often one flush may find its lanes closed: each time the number of lanes was changed once more.
MAX_MOVES = 5


@dataclass(frozen=True)
class KeyedItem:
    """An item with the key that makes it append at most once; ``fingerprint`` is of its payload."""

    item: Item
    key: str
    fingerprint: str


@dataclass(frozen=True)
class Appended:
    """What one flush did.

    ``lanes`` whose items are stored, those of them to ``ring``, the items appended and the items
    that their key had stored before; ``failure`` is what ``failed_lane`` answered, which took nothing,
    and ``refused`` the channels that are not stored for such failures. Lanes that a change of their
    number has ``closed`` took nothing either; their items are moved before a caller sees this.
    """

    lanes: tuple[int, ...]
    ring: tuple[int, ...]
    count: int
    already_stored: int = 0
    failure: BacklogFull | JournalUnavailable | IdempotencyConflict | None = None
    failed_lane: int | None = None
    refused: frozenset[str] = frozenset()
    closed: tuple[int, ...] = ()


_Given = TypeVar("_Given", Item, KeyedItem)


class Producer:
    """Appends items of one app to its lanes.

    ``lanes`` is what the settings ask for; what the journal was laid out with holds, until a worker
    changes it (:mod:`.layout`): another number would put a channel's next events beside its waiting ones.
    ``wait`` (replicas, ms): an append has succeeded when so many replicas have it. If they do not within
    that time, it raises ``JournalUnavailable(stored=None)``: the event is stored, and will be delivered
    unless a failover loses it. Repeated with its message id as key it is delivered once either way.
    """

    def __init__(
        self,
        redis_url: str,
        app: str,
        *,
        lanes: int,
        max_backlog: int,
        key_ttl_ms: int,
        wait: tuple[int, int] | None = None,
        namespace: str = "",
    ) -> None:
        self.app = app
        self._most = max_backlog
        self._key_ttl_ms = key_ttl_ms
        self._wait = wait
        # Redis answers WAIT when its time is over, at the latest.
        wait_s = wait[1] / 1000 if wait else 0.0
        self._link = RedisLink(redis_url, timeout_s=CALLER_TIMEOUT_S + wait_s, namespace=namespace)
        self._record = LayoutRecord(self._link, app, lanes)
        self._layout: Layout | None = None
        self._layout_looked_at = float("-inf")
        self._memory_looked_at = float("-inf")
        self._memory_look_refused = False
        self._memory_full = False

    def layout(self) -> Layout:
        """The layout of the lanes, at most a few seconds old; ``layout().appending`` says a channel's lane."""
        now = time.monotonic()
        layout = self._layout
        if layout is None or now - self._layout_looked_at > LAYOUT_LOOK_S:
            layout = self._layout = self._record.read()
            self._layout_looked_at = now
        return layout

    def append(self, by_lane: Mapping[int, Sequence[Item]]) -> Appended:
        """Append items, in order, one script call a lane.

        Raises :class:`JournalUnavailable` when Redis fails and :class:`BacklogFull` when its memory
        is short; what single lanes refuse is the result's ``failure``.
        """
        self._refuse_when_memory_is_short()
        return self._follow(by_lane, self._append, _channel_of)

    def _append(self, by_lane: Mapping[int, Sequence[Item]]) -> Appended:
        marked = self._must_be_marked()
        commands: list[Command] = []
        for lane, items in by_lane.items():
            keys = self._link.keyspace.lane(self.app, lane)
            args: list[Any] = [self._most, marked, len(items)]
            for one in packs(items):
                args += (one.count, one.earliest_expiry_ms, one.meta, one.body)
            commands.append(evalsha("append", (keys.stream, keys.state), args))
        return self._read(by_lane, self._send(commands), _channel_of)

    def append_once(self, by_lane: Mapping[int, Sequence[KeyedItem]]) -> Appended:
        """Append items that carry a key, each at most once per key and channel.

        Several lanes are all looked at first (conflict, backlog), then appended; a refusal is the
        result's ``failure``, where the ``index`` of a conflict counts within its lane.
        """
        self._refuse_when_memory_is_short()
        return self._follow(by_lane, self._append_once, _channel_of_keyed)

    def _append_once(self, by_lane: Mapping[int, Sequence[KeyedItem]]) -> Appended:
        try:
            known = self._known_before([(one.item.channel, one.key) for items in by_lane.values() for one in items])
            looks: list[Any] = []
            if len(by_lane) > 1:
                look = [self._once_command(lane, items, known, look=True) for lane, items in by_lane.items()]
                looks = self._link.run(look)
        except JournalUnavailable as error:
            error.stored = False  # a look stores nothing, whatever became of it
            raise
        if looks:
            looked = self._read(by_lane, looks, _channel_of_keyed)
            if looked.closed or looked.failure is not None:
                refused = frozenset(one.item.channel for items in by_lane.values() for one in items)
                if looked.failure is None:
                    return Appended((), (), 0, closed=tuple(by_lane))
                if isinstance(looked.failure, JournalUnavailable):
                    looked.failure.stored = False
                return Appended((), (), 0, 0, looked.failure, looked.failed_lane, refused)
        commands = [self._once_command(lane, items, known, look=False) for lane, items in by_lane.items()]
        return self._read(by_lane, self._send(commands), _channel_of_keyed)

    def schedule_once(self, lane: int, channel: str, key: str, fingerprint: str, *, look: bool = False) -> bool:
        """Remember a key whose event goes into a countdown message; ``False``: it is appended already.

        ``look``: say so without remembering anything.
        """
        for _ in range(MAX_MOVES):
            known = self._known_before([(channel, key)]).get((channel, key), b"")
            keys = (
                self._link.keyspace.ledger(self.app, lane, channel, key),
                self._link.keyspace.lane(self.app, lane).state,
            )
            args = (fingerprint, self._key_ttl_ms, "1" if look else "0", self._must_be_marked(), known)
            answer = self._link.script("schedule_once", keys, args)
            if answer[0] != Answer.CLOSED:
                break
            lane = self._moved().lane_of(channel)
        else:
            raise JournalUnavailable(_KEEPS_CHANGING, stored=False)
        if answer[0] == Answer.CONFLICT:
            raise IdempotencyConflict(_CONFLICT)
        return bool(answer[0] == Answer.DONE)

    # -- while the number of lanes changes ----------------------------------------------------------

    def _follow(
        self,
        by_lane: Mapping[int, Sequence[_Given]],
        append: Callable[[Mapping[int, Sequence[_Given]]], Appended],
        channel_of: Callable[[_Given], str],
    ) -> Appended:
        """Append; what closed lanes refuse goes to the lanes where its channels live now."""
        done = append(by_lane)
        if not done.closed:
            return done
        # Where each item was in what the caller gave: a conflict is named by that place.
        places = {lane: [(lane, index) for index in range(len(items))] for lane, items in by_lane.items()}
        try:
            for _ in range(MAX_MOVES):
                span = self._moved()
                moved: dict[int, list[_Given]] = {}
                moved_places: dict[int, list[tuple[int, int]]] = {}
                for lane in done.closed:
                    for one, place in zip(by_lane[lane], places[lane], strict=True):
                        to = span.lane_of(channel_of(one))
                        moved.setdefault(to, []).append(one)
                        moved_places.setdefault(to, []).append(place)
                by_lane, places = moved, moved_places
                done = _both(done, append(by_lane), places)
                if not done.closed:
                    return done
        except JournalUnavailable as error:
            error.stored = None if _may_have_stored(done) else error.stored
            raise
        raise JournalUnavailable(_KEEPS_CHANGING, stored=None if _may_have_stored(done) else False)

    def _moved(self) -> Span:
        """A lane was closed: help to close the others, and see where its channels live now."""
        self._layout = self._record.closed()
        self._layout_looked_at = time.monotonic()
        return self._layout.appending

    def _must_be_marked(self) -> str:
        """Whether a lane without a mark is not one: a Redis that has lost everything knows no later layout."""
        return "1" if self.layout().appending.first else "0"

    def _known_before(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """What the ledgers of earlier layouts say of (channel, key); they change no more."""
        earlier = self.layout().earlier
        if not earlier:
            return {}
        places = [(channel, key, span.lane_of(channel)) for span in earlier for channel, key in keys]
        commands: list[Command] = [
            ("GET", self._link.keyspace.ledger(self.app, lane, channel, key)) for channel, key, lane in places
        ]
        found = {}
        for (channel, key, _), answer in zip(places, self._link.run(commands), strict=True):
            if checked(answer):
                found[channel, key] = bytes(answer)  # the latest layout that knows it
        return found

    def now_ms(self) -> int:
        """Redis' time."""
        seconds, micros = self._link.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def _once_command(
        self, lane: int, items: Sequence[KeyedItem], known: Mapping[tuple[str, str], bytes], *, look: bool
    ) -> Command:
        keys = self._link.keyspace.lane(self.app, lane)
        ledger = [self._link.keyspace.ledger(self.app, lane, one.item.channel, one.key) for one in items]
        args: list[Any] = [self._most, self._must_be_marked(), self._key_ttl_ms, "1" if look else "0"]
        for one in items:
            before = known.get((one.item.channel, one.key), b"")
            args += (one.fingerprint, one.item.channel, one.item.expires_ms, one.item.body, before)
        return evalsha("append_once", (keys.stream, keys.state, *ledger), args)

    def _send(self, commands: list[Command]) -> list[Any]:
        if self._wait is None:
            return self._link.run(commands)
        *answers, replicas = self._link.run(commands, then=("WAIT", *self._wait))
        if not any(isinstance(answer, list) and answer[0] in (Answer.DONE, Answer.RING) for answer in answers):
            return answers  # no lane took anything, for reasons of their own
        if isinstance(replicas, Exception):  # by an ACL, say: that says nothing of the appends before it
            raise JournalUnavailable(f"SOCKUDO_REDIS_WAIT: Redis refused: {describe_refusal(replicas)}", stored=None)
        if replicas < self._wait[0]:
            raise JournalUnavailable(
                f"SOCKUDO_REDIS_WAIT: {replicas} replicas have it within {self._wait[1]} ms, wanted {self._wait[0]}",
                stored=None,
            )
        return answers

    def _read(
        self, by_lane: Mapping[int, Sequence[_Given]], answers: Sequence[Any], channel_of: Callable[[_Given], str]
    ) -> Appended:
        stored, ring, closed, appended, already = [], [], [], 0, 0
        failure, failed_lane = None, None
        refused: set[str] = set()
        for (lane, items), answer in zip(by_lane.items(), answers, strict=True):
            error = self._failure(lane, answer)
            if error is not None:
                if failure is None or (_is_uncertain(error) and not _is_uncertain(failure)):
                    failure, failed_lane = error, lane
                refused.update(map(channel_of, items))
                continue
            if answer[0] == Answer.CLOSED:
                closed.append(lane)
                continue
            stored.append(lane)
            if answer[0] == Answer.RING:
                ring.append(lane)
            fresh = answer[1] if len(answer) > 1 else len(items)
            appended += fresh
            already += len(items) - fresh
        return Appended(
            tuple(stored), tuple(ring), appended, already, failure, failed_lane, frozenset(refused), tuple(closed)
        )

    def _failure(self, lane: int, answer: Any) -> BacklogFull | JournalUnavailable | IdempotencyConflict | None:
        if is_out_of_memory(answer):
            return BacklogFull("Redis is full (maxmemory): nothing was stored")
        if isinstance(answer, Exception):
            try:
                checked(answer)
            except JournalUnreadable as error:
                keys = self._link.keyspace.lane(self.app, lane)
                wrong = wrong_keys(self._link, [keys.stream, keys.state])
                return JournalUnreadable("; ".join(wrong), stored=error.stored) if wrong else error
            except JournalUnavailable as error:
                return error
        if answer[0] == Answer.FULL:
            return BacklogFull(f"lane {lane}: {answer[1]} events, limit {self._most} (SOCKUDO_MAX_BACKLOG)")
        if answer[0] == Answer.CONFLICT:
            return IdempotencyConflict(_CONFLICT, index=answer[1])
        return None

    def _refuse_when_memory_is_short(self) -> None:
        """A precaution: where Redis does not let us look, appends go on, and Redis refuses them when it is full."""
        now = time.monotonic()
        if now - self._memory_looked_at > (REFUSED_LOOK_S if self._memory_look_refused else MEMORY_LOOK_S):
            share = self._look_at_memory()
            self._memory_look_refused = share is None
            self._memory_full = share is not None and share >= MEMORY_SHARE
            self._memory_looked_at = now
        if self._memory_full:
            raise BacklogFull(f"Redis has used {MEMORY_SHARE:.0%} of its maxmemory: nothing was stored")

    def _look_at_memory(self) -> float | None:
        """The used share of the memory; ``None``: Redis does not say."""
        try:
            answer = self._link.run([("INFO", "memory")])[0]
        except JournalUnavailable as error:
            error.stored = False  # whatever became of the question: nothing was appended yet
            raise
        if isinstance(answer, Exception):
            _warn_of_memory(describe_refusal(answer))
            return None
        share = memory_share(answer)
        if share is None:
            _warn_of_memory("its answer cannot be read")
        return share


def _channel_of(item: Item) -> str:
    return item.channel


def _channel_of_keyed(keyed: KeyedItem) -> str:
    return keyed.item.channel


def _is_uncertain(failure: Exception | None) -> bool:
    """Whether the lane that failed so may have stored its items."""
    return isinstance(failure, JournalUnavailable) and failure.stored is None


def _may_have_stored(done: Appended) -> bool:
    return bool(done.lanes) or _is_uncertain(done.failure)


def _both(first: Appended, then: Appended, places: Mapping[int, Sequence[tuple[int, int]]]) -> Appended:
    """What two rounds of one flush did; ``places`` are those of the second's items in what the caller gave."""
    failure, failed_lane = then.failure, then.failed_lane
    if isinstance(failure, IdempotencyConflict) and failed_lane is not None:
        failed_lane, failure.index = places[failed_lane][failure.index or 0]
    if first.failure is not None and not (_is_uncertain(failure) and not _is_uncertain(first.failure)):
        failure, failed_lane = first.failure, first.failed_lane
    return Appended(
        lanes=(*first.lanes, *then.lanes),
        ring=(*first.ring, *then.ring),
        count=first.count + then.count,
        already_stored=first.already_stored + then.already_stored,
        failure=failure,
        failed_lane=failed_lane,
        refused=first.refused | then.refused,
        closed=then.closed,
    )


_KEEPS_CHANGING = f"the number of lanes was changed {MAX_MOVES} times meanwhile"

_CONFLICT = "key: used before on this channel with another payload (within SOCKUDO_KEY_TTL)"


#: What this process has warned of: once is enough, whatever the number of apps.
_warned: set[str] = set()


def _warn_of_memory(words: str) -> None:
    if "memory" not in _warned:
        _warned.add("memory")
        logger.warning(
            "Redis does not show its memory (INFO memory): %s. Appends go on; they are refused at maxmemory, "
            "not at %.0f %% of it",
            words,
            MEMORY_SHARE * 100,
        )


def memory_share(info: Any) -> float | None:
    """The used share of ``maxmemory`` by ``INFO memory``; 0.0 without a limit, ``None`` for what is no such answer."""
    try:
        if not isinstance(info, dict):
            pairs = [line.split(b":", 1) for line in info.splitlines() if b":" in line]
            info = {name.decode(): value for name, value in pairs}
        used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    except (ValueError, TypeError, AttributeError):
        return None
    return used / limit if limit > 0 else 0.0

"""Appending: what happens between an application's call and the event being stored.

Items go in, and the result of each comes back by its index. Callers do not know lanes. One script call per lane, all
in one round trip. Nothing here retries: a failure names the items that are stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..errors import BacklogFull, IdempotencyConflict, JournalUnavailable, JournalUnreadable
from .appended import Appended, Appending, OnRefusal, Refusal
from .layout.layout import Layout, LayoutRecord
from .pack import Item, KeyedItem, packs
from .redis.link import CALLER_TIMEOUT_S, Command, RedisLink, checked, evalsha
from .redis.memory import MemoryGuard
from .redis.refusal import describe_refusal, is_out_of_memory
from .redis.scripts import Answer
from .redis.sent import Sent
from .unreadable import wrong_keys

__all__ = ["Begun", "Producer", "stores_all"]

#: Seconds between two looks at the layout of the lanes. One that is older than that is not wrong, as a
#: closed lane refuses the append; it only costs a round trip.
LAYOUT_LOOK_S = 5.0

#: How often one call may find its lanes closed: each time the number of lanes was changed once more.
MAX_MOVES = 5


class _Part(NamedTuple):
    """What one lane gets of a call: items, and their indexes in the call."""

    lane: int
    indexes: Sequence[int]
    items: Sequence[Any]


class Begun(NamedTuple):
    """An append whose command is sent. Its answer must be read, by :meth:`Producer.append`, to know what is stored."""

    parts: list[_Part]
    sent: Sent


_Send: TypeAlias = Callable[[Layout, list[_Part], OnRefusal, Appending], None]


class Producer:
    """Appends items of one app to its lanes.

    ``lanes`` is what the settings ask for; what the journal was laid out with holds, until a worker
    changes it (:mod:`.layout`): another number would put a channel's next events beside its waiting ones.
    ``wait`` (replicas, ms): an append has succeeded when this number of replicas has it. If they do not within
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
        self._max_backlog = max_backlog
        self._key_ttl_ms = key_ttl_ms
        self._wait = wait
        # Redis answers WAIT when its time is over, at the latest.
        wait_s = wait[1] / 1000 if wait else 0.0
        self._link = RedisLink(redis_url, timeout_s=CALLER_TIMEOUT_S + wait_s, namespace=namespace)
        self._memory = MemoryGuard(self._link)
        self._record = LayoutRecord(self._link, app, lanes)
        self._layout: Layout | None = None
        self._layout_read_at = float("-inf")

    def begin(self, items: Sequence[Item] | Sequence[KeyedItem], *, on_refusal: OnRefusal) -> Begun | None:
        """Send the append of items and wait for nothing; :meth:`append` with ``begun=`` goes on with it.

        ``None``: nothing is sent, as more would be needed than one command to a Redis that was there a moment ago.
        """
        layout = self._layout
        if isinstance(items[0], KeyedItem) or self._wait is not None or not self._memory.has_room():
            return None
        if layout is None or self._is_layout_old():
            return None
        parts = _parts(layout, items, range(len(items)))
        if len(parts) > 1:
            return None
        sent = self._link.send(self._append_command(layout, parts[0], on_refusal))
        return None if sent is None else Begun(parts, sent)

    def append(
        self,
        items: Sequence[Item] | Sequence[KeyedItem],
        *,
        on_refusal: OnRefusal = OnRefusal.STOP,
        begun: Begun | None = None,
    ) -> Appended:
        """Append items in their order: plain ones, or keyed ones, each at most once per key and channel.

        ``begun``: what :meth:`begin` has sent of them. What single items or lanes are refused with is in the answer.
        Raises :class:`JournalUnavailable` when Redis fails for all of them (``stored`` is ``None`` where some may be
        stored), and :class:`BacklogFull` when its memory is short.
        """
        if begun is None:
            self._memory.check()
        send: _Send = self._send_keyed if isinstance(items[0], KeyedItem) else self._send_plain
        done = Appending()
        indexes: Sequence[int] = range(len(items))
        try:
            for moves in range(MAX_MOVES + 1):
                if begun is not None and not moves:
                    self._read(begun.parts, self._link.run([begun.sent.command], sent=begun.sent), done)
                else:
                    layout = self._read_layout(is_changing=moves > 0)
                    send(layout, _parts(layout, items, indexes), on_refusal, done)
                if not done.moved:
                    return done.result()
                # Of closed lanes: their channels live elsewhere now.
                indexes, done.moved = sorted(done.moved), []
        except JournalUnavailable as error:
            if done.may_have_stored():
                error.stored = None
            raise
        raise JournalUnavailable(_KEEPS_CHANGING, stored=None if done.may_have_stored() else False)

    def remember_keys(self, items: Sequence[KeyedItem], *, due_ms: int = 0, kept_ms: int = 0) -> list[KeyedItem]:
        """Remember the keys of items that are stored later. Returns those that are not appended already.

        ``kept_ms``: how long, by default as long as the key of an appended item; ``due_ms``: Redis' time at which they
        are appended, if it is known. Raises :class:`IdempotencyConflict`, which leaves no mark on any channel, and
        :class:`JournalUnavailable`.
        """
        if len(items) > 1:
            for item in items:
                self._remember_key(item, due_ms, kept_ms, look=True)
        return [item for item in items if self._remember_key(item, due_ms, kept_ms, look=False)]

    def layout(self) -> Layout:
        """The layout of the lanes, at most a few seconds old; ``layout().appending`` says a channel's lane."""
        layout = self._layout
        if layout is None or self._is_layout_old():
            now = time.monotonic()
            layout = self._layout = self._record.read()
            self._layout_read_at = now
        return layout

    def _is_layout_old(self) -> bool:
        return time.monotonic() - self._layout_read_at > LAYOUT_LOOK_S

    @property
    def link(self) -> RedisLink:
        """The connections of callers to the journal's Redis."""
        return self._link

    @property
    def key_ttl_ms(self) -> int:
        """How long the key of an appended item is remembered."""
        return self._key_ttl_ms

    def check_memory(self) -> None:
        """Raise :class:`BacklogFull` while Redis is nearly full."""
        self._memory.check()

    def now_ms(self) -> int:
        """Redis' time."""
        seconds, micros = self._link.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    # -- one round, in the lanes of one layout --------------------------------------------------------

    def _read_layout(self, *, is_changing: bool) -> Layout:
        """The layout to append by. While it changes: help to close the old lanes, then read where channels live."""
        try:
            if not is_changing:
                return self.layout()
            self._layout = self._record.closed()
            self._layout_read_at = time.monotonic()
        except JournalUnavailable as error:
            error.stored = False  # a question stores nothing, answered or not
            raise
        return self._layout

    def _send_plain(self, layout: Layout, parts: list[_Part], on_refusal: OnRefusal, done: Appending) -> None:
        commands = [self._append_command(layout, part, on_refusal) for part in parts]
        self._read(parts, self.run_replicated(commands), done)

    def _append_command(self, layout: Layout, part: _Part, on_refusal: OnRefusal) -> Command:
        keys = self._link.keyspace.lane(self.app, part.lane)
        args: list[Any] = [self._max_backlog, _must_be_marked(layout), on_refusal.value, len(part.items)]
        collapses = False
        for one in packs(part.items):
            args += (one.count, one.earliest_expiry_ms, one.meta, one.body)
            collapses = collapses or one.collapses
        names = (keys.stream, keys.state, keys.latest) if collapses else (keys.stream, keys.state)
        return evalsha("append", names, args)

    def _send_keyed(self, layout: Layout, parts: list[_Part], on_refusal: OnRefusal, done: Appending) -> None:
        try:
            known = self._known_before(layout, [(one.item.channel, one.key) for part in parts for one in part.items])
            if len(parts) > 1 and on_refusal is OnRefusal.STOP and not self._all_take(layout, parts, known, done):
                return
        except JournalUnavailable as error:
            error.stored = False  # a look stores nothing, answered or not
            raise
        commands = [self._once_command(layout, part, known, on_refusal.value) for part in parts]
        self._read(parts, self.run_replicated(commands), done)

    def _all_take(self, layout: Layout, parts: list[_Part], known: Mapping[Any, bytes], done: Appending) -> bool:
        """Look whether every lane would take its part, since none shall be stored if one is refused."""
        seen = Appending()
        self._read(parts, self._link.run([self._once_command(layout, part, known, "look") for part in parts]), seen)
        indexes = [index for part in parts for index in part.indexes]
        if error := seen.result().failure:
            if isinstance(error, JournalUnavailable):
                error.stored = False
            done.refuse(indexes, error)
        elif seen.moved:
            done.moved += indexes
        else:
            return True
        return False

    def _once_command(self, layout: Layout, part: _Part, known: Mapping[Any, bytes], mode: str) -> Command:
        keys = self._link.keyspace.lane(self.app, part.lane)
        ledger = [self._link.keyspace.ledger(self.app, part.lane, one.item.channel, one.key) for one in part.items]
        args: list[Any] = [self._max_backlog, _must_be_marked(layout), self._key_ttl_ms, mode]
        for item, key, fingerprint in part.items:
            before = known.get((item.channel, key), b"")
            args += (fingerprint, item.channel, item.expires_ms, item.body, before, item.collapse, item.trace)
        return evalsha("append_once", (keys.stream, keys.state, keys.latest, *ledger), args)

    def _known_before(self, layout: Layout, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """What the ledgers of earlier layouts say of (channel, key); they change no more."""
        if not layout.earlier:
            return {}
        places = [(channel, key, span.lane_of(channel)) for span in layout.earlier for channel, key in keys]
        commands: list[Command] = [
            ("GET", self._link.keyspace.ledger(self.app, lane, channel, key)) for channel, key, lane in places
        ]
        found = {}
        for (channel, key, _), answer in zip(places, self._link.run(commands), strict=True):
            if checked(answer):
                found[channel, key] = bytes(answer)  # the latest layout that knows it
        return found

    def _remember_key(self, keyed: KeyedItem, due_ms: int, kept_ms: int, *, look: bool) -> bool:
        """Remember one key, or (``look``) only answer; ``False``: its item is appended already."""
        channel, key = keyed.item.channel, keyed.key
        for moves in range(MAX_MOVES + 1):
            layout = self._read_layout(is_changing=moves > 0)
            lane = layout.appending.lane_of(channel)
            known = self._known_before(layout, [(channel, key)]).get((channel, key), b"")
            keyspace = self._link.keyspace
            keys = (keyspace.ledger(self.app, lane, channel, key), keyspace.lane(self.app, lane).state)
            kept = kept_ms or self._key_ttl_ms
            args = (keyed.fingerprint, kept, "1" if look else "0", _must_be_marked(layout), known, due_ms)
            answer = self._link.script("schedule_once", keys, args)
            if answer[0] == Answer.CONFLICT:
                raise IdempotencyConflict(_CONFLICT)
            if answer[0] != Answer.CLOSED:
                return bool(answer[0] == Answer.DONE)
        raise JournalUnavailable(_KEEPS_CHANGING, stored=False)

    # -- the answers ----------------------------------------------------------------------------------

    def run_replicated(self, commands: Sequence[Command]) -> list[Any]:
        """Run scripts that store; with `SOCKUDO_REDIS_WAIT`, wait until replicas have what they stored."""
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

    def _read(self, parts: Sequence[_Part], answers: Sequence[Any], done: Appending) -> None:
        """What each lane has answered (the headers of ``append.lua`` and ``append_once.lua`` name the parts)."""
        for part, answer in zip(parts, answers, strict=True):
            error = self._failure(part, answer)
            if error is not None:
                done.refuse(part.indexes, error)
                continue
            if answer[0] == Answer.CLOSED:
                done.moved += part.indexes
                continue
            if answer[0] == Answer.RING:
                done.ring.append(part.lane)
            if len(answer) == 1:  # plain items, all of them
                done.count += len(part.indexes)
                continue
            count, depth = answer[1:3]
            done.count += count
            if count == len(part.indexes):
                continue
            if len(answer) == 3:  # plain items: the first `count` were stored
                done.refuse(part.indexes[count:], self._backlog_full(part.lane, depth))
            for place, code in zip(answer[3::2], answer[4::2], strict=True):
                index = part.indexes[place]
                if code == Answer.CONFLICT:
                    done.refused[index] = IdempotencyConflict(_CONFLICT, index=index)
                elif code == Answer.FULL:
                    done.refused[index] = self._backlog_full(part.lane, depth)
                else:
                    done.already_stored.append(index)

    def _failure(self, part: _Part, answer: Any) -> Refusal | None:
        """Why a lane has stored nothing of its part, or perhaps nothing."""
        if is_out_of_memory(answer):
            return BacklogFull("Redis is full (maxmemory): nothing was stored")
        if isinstance(answer, Exception):
            try:
                checked(answer)
            except JournalUnreadable as error:
                keys = self._link.keyspace.lane(self.app, part.lane)
                wrong = wrong_keys(self._link, [keys.stream, keys.state])
                return JournalUnreadable("; ".join(wrong), stored=error.stored) if wrong else error
            except JournalUnavailable as error:
                return error
        if answer[0] == Answer.FULL:
            return self._backlog_full(part.lane, answer[1])
        if answer[0] == Answer.CONFLICT:
            return IdempotencyConflict(_CONFLICT, index=part.indexes[answer[1]])
        return None

    def _backlog_full(self, lane: int, depth: int) -> BacklogFull:
        return BacklogFull(f"lane {lane}: {depth} events, limit {self._max_backlog} (SOCKUDO_MAX_BACKLOG)")


def _parts(layout: Layout, items: Sequence[Any], indexes: Sequence[int]) -> list[_Part]:
    """The items at these indexes by the lane of their channel, in their order. Pure."""
    lane_of = layout.appending.lane_of
    if len(items) == 1:  # what every `delay` appends
        return [_Part(lane_of(items[0].channel), indexes, items)]
    by_lane: dict[int, list[int]] = {}
    for index in indexes:
        by_lane.setdefault(lane_of(items[index].channel), []).append(index)
    return [_Part(lane, places, [items[index] for index in places]) for lane, places in by_lane.items()]


def _must_be_marked(layout: Layout) -> str:
    """``"1"``: refuse an unmarked lane. Later layouts are always marked, unless Redis has lost everything."""
    return "1" if layout.appending.first else "0"


def stores_all(answer: object) -> bool:
    """Whether an answer of ``append.lua`` says that all items are stored. Pure."""
    return isinstance(answer, list) and len(answer) == 1 and answer[0] in (Answer.DONE, Answer.RING)


_KEEPS_CHANGING = f"the number of lanes was changed {MAX_MOVES} times meanwhile"

_CONFLICT = "key: used before on this channel with another payload (within SOCKUDO_KEY_TTL)"

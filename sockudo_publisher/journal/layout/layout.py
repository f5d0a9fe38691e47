"""The number of an app's lanes, and how it changes while callers and workers run.

A layout is a span of lane numbers; each layout gets new numbers, so a lane belongs to one layout for ever. The record
of the app holds the span in force and earlier ones. A change (a *flip*) has three phases. Each is a compare-and-set of
the record, and any process can repeat any step (docs/protocol.md):

1. ``closing``: the old lanes are marked closed, one by one. Producers still append to them; the first producer that a
   closed lane refuses helps to close the rest. No producer appends to a new lane before all old ones are closed, so no
   event of a channel overtakes an earlier one.
2. ``draining``: producers append to the new lanes, which no worker drains yet (``Journal.acquire``). A closed lane that
   is empty, with all its held channels, stays empty.
3. ``steady``: all old lanes were empty; the new ones are drained.

The old layout stays in the record for its dead letters and for its ledger: a ``key=`` is looked up there too. This
module reads and writes the record and the lanes' marks; its callers act on the result.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, NamedTuple

from ...errors import JournalUnavailable, JournalUnreadable
from ...redaction import package_logger
from ..keys import lane_of
from ..lane_look import look_command, read_look
from ..redis.link import Command, RedisLink, checked, evalsha
from ..redis.scripts import Answer
from ..unreadable import as_count, is_wrong_type

__all__ = ["MAX_LANE", "Layout", "LayoutRecord", "Phase", "Retired", "Span"]

logger = package_logger("sockudo_publisher.journal")

#: Layouts that are remembered beside the one in force: each costs the sweep a look at its lanes, and
#: appends with a key a look at its ledger.
MAX_RETIRED = 4

#: Compare-and-sets of the record that may fail in a row: each failure is progress of another process.
MAX_TRIES = 20


#: Lanes of one layout, layouts of one record, and the highest number of a lane: more was not written by us.
MAX_LANES = 256
MAX_SPANS = 64
MAX_LANE = 10**6

assert MAX_RETIRED < MAX_SPANS, "a layout that this release writes can be read"
assert MAX_LANES * MAX_SPANS <= MAX_LANE, "the numbers of a full record are within the bound"


class Phase(Enum):
    """Where a change of the number of lanes stands."""

    STEADY = "steady"
    CLOSING = "closing"
    DRAINING = "draining"


class Span(NamedTuple):
    """The lanes ``first`` to ``first + count - 1``."""

    first: int
    count: int  # type: ignore[assignment]  # tuple's own `count` is not used

    def lane_of(self, channel: str) -> int:
        """The lane a channel lives in."""
        return self.first + lane_of(channel, self.count)

    @property
    def lanes(self) -> range:
        """Their numbers."""
        return range(self.first, self.first + self.count)


class Retired(NamedTuple):
    """A span that was in force, closed at ``closed_ms`` (Redis' time; 0: is being closed)."""

    span: Span
    closed_ms: int = 0


class Layout(NamedTuple):
    """The newest span, those before it (oldest first), and the phase of the change between the last two."""

    span: Span
    phase: Phase = Phase.STEADY
    retired: tuple[Retired, ...] = ()

    @property
    def appending(self) -> Span:
        """Where events are appended."""
        return self.retired[-1].span if self.phase is Phase.CLOSING else self.span

    @property
    def earlier(self) -> tuple[Span, ...]:
        """Spans whose ledgers remember keys, and change no more."""
        spans = tuple([one.span for one in self.retired])
        return spans[:-1] if self.phase is Phase.CLOSING else spans

    @property
    def open_below(self) -> int:
        """Lanes with smaller numbers may be drained, now and ever after."""
        return self.span.first + (self.span.count if self.phase is Phase.STEADY else 0)

    @property
    def drained_first(self) -> Span | None:
        """The span that must be empty before the newest is drained; ``None`` when nothing changes."""
        return None if self.phase is Phase.STEADY else self.retired[-1].span

    @property
    def drainable(self) -> tuple[int, ...]:
        """The lanes that may be drained. The retired ones too: a dead letter is replayed to its own lane."""
        return tuple([lane for lane in self.lanes if lane < self.open_below])

    @property
    def lanes(self) -> tuple[int, ...]:
        """Every lane that may hold something."""
        spans = [*(one.span for one in self.retired), self.span]
        return tuple([lane for span in spans for lane in span.lanes])

    def flipped(self, count: int) -> Layout:
        """The first step of a change to ``count`` lanes."""
        assert self.phase is Phase.STEADY, "one change at a time"
        first = self.span.first + self.span.count
        return Layout(Span(first, count), Phase.CLOSING, (*self.retired, Retired(self.span)))

    def closed(self, now_ms: int) -> Layout:
        """All lanes of the old span are closed."""
        retired = (*self.retired[:-1], self.retired[-1]._replace(closed_ms=now_ms))
        return self._replace(phase=Phase.DRAINING, retired=retired)

    def drained(self) -> Layout:
        """All lanes of the old span are empty."""
        return self._replace(phase=Phase.STEADY)

    def text(self) -> str:
        """As the record keeps it: a bare number until the first change."""
        if not self.retired and self.span.first == 0:
            return str(self.span.count)
        return json.dumps(
            {
                "first": self.span.first,
                "count": self.span.count,
                "phase": self.phase.value,
                "retired": [[one.span.first, one.span.count, one.closed_ms] for one in self.retired],
            }
        )


def read_layout(text: bytes | str) -> Layout:
    """The layout that a record's text says. Raises ``ValueError`` for what is none."""
    try:
        found = json.loads(text)
        if type(found) is int:
            return _checked(Layout(Span(0, found)))
        retired = tuple([Retired(Span(first, count), closed_ms) for first, count, closed_ms in found["retired"]])
        return _checked(Layout(Span(found["first"], found["count"]), Phase(found["phase"]), retired))
    except (TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError("not a layout of lanes") from None


def _checked(layout: Layout) -> Layout:
    """The same layout, where its spans are spans of lanes, one behind the other. Raises ``ValueError``."""
    spans = [*(one.span for one in layout.retired), layout.span]
    end = 0
    for span in spans:
        if type(span.first) is not int or type(span.count) is not int:
            raise ValueError("lanes that are no numbers")
        if not (end <= span.first <= MAX_LANE and 1 <= span.count <= MAX_LANES):
            raise ValueError("lanes out of range")
        end = span.first + span.count
    if len(spans) > MAX_SPANS or (layout.phase is not Phase.STEADY and not layout.retired):
        raise ValueError("a change of lanes without earlier ones, or too many of them")
    if any(type(one.closed_ms) is not int or one.closed_ms < 0 for one in layout.retired):
        raise ValueError("a time that is no number")
    return layout


class LayoutRecord:
    """The record of one app. All methods raise :class:`JournalUnavailable`.

    ``wanted``: the lanes that the first to ask lays out.
    """

    def __init__(self, link: RedisLink, app: str, wanted: int) -> None:
        self._link = link
        self._app = app
        self._key = link.keyspace.app(app).lanes
        self._wanted = wanted

    def read(self) -> Layout:
        """The layout in force; the first to ask lays it out."""
        return self._read()[1]

    def look(self) -> Layout:
        """The layout in force, or what would be laid out. Changes nothing."""
        text = self._link.run([("GET", self._key)])[0]
        return Layout(Span(0, self._wanted)) if text is None else self._layout_of(text)

    def _layout_of(self, answer: Any) -> Layout:
        """The layout that Redis answered. Raises :class:`JournalUnreadable`, which names the key."""
        if is_wrong_type(answer):
            why = "another type of key, expected a string"
        else:
            try:
                return read_layout(checked(answer))
            except ValueError as error:
                # json's own words name a place in the text, which does not help.
                why = "no JSON" if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)) else str(error)
        raise JournalUnreadable(
            f"{self._key}: not a layout of lanes ({why}); app {self._app} stands still until it is set right "
            "(docs/journal.md, What cannot be read)",
            stored=False,
        )

    def ask_for(self, count: int) -> bool:
        """Begin a change to ``count`` lanes; ``False``: another change is going on, ask again later.

        Not begun, and said so, while the record holds as many earlier layouts as it can.
        """
        text, layout = self._read()
        if layout.phase is not Phase.STEADY:
            return False
        if layout.span.count == count:
            return True
        if len(layout.retired) >= MAX_RETIRED:
            logger.error(
                "number of lanes not changed, the earlier lanes still have dead letters or remember keys "
                "(SOCKUDO_KEY_TTL) app=%s lanes=%d wanted=%d earlier_changes=%d",
                *(self._app, layout.span.count, count, len(layout.retired)),
            )
            return True
        if not self._swap(text, layout.flipped(count)):
            return False
        logger.warning(
            "number of lanes changes, the old lanes are drained first app=%s lanes=%d wanted=%d",
            *(self._app, layout.span.count, count),
        )
        return True

    def closed(self) -> Layout:
        """Close what is being closed; the layout after it."""
        for _ in range(MAX_TRIES):
            text, layout = self._read()
            if layout.phase is not Phase.CLOSING:
                return layout
            marks = [self._mark(lane, "closed") for lane in layout.retired[-1].span.lanes]
            marks += [self._mark(lane, "open") for lane in layout.span.lanes]
            answers = [checked(answer) for answer in self._link.run([*marks, ("TIME",)])]
            after = layout.closed(int(answers[-1][0]) * 1000)
            if self._swap(text, after):
                return after
        raise JournalUnavailable("the number of lanes is changing", stored=False)

    def advanced(self) -> Layout:
        """Go on with the change that is under way; the layout after it."""
        layout = self.closed()
        if layout.phase is not Phase.DRAINING or not self._are_empty(layout.retired[-1].span):
            return layout
        text, layout = self._read()  # a faster process has done the same; an empty closed lane stays empty
        if layout.phase is Phase.DRAINING and self._swap(text, layout.drained()):
            logger.info(
                "number of lanes changed, the old lanes are empty app=%s lanes=%d", self._app, layout.span.count
            )
        return self.read()

    def forget_oldest(self, closed_before_ms: int) -> bool:
        """Drop the oldest earlier layout, if it was closed before that and its lanes hold nothing any more."""
        text, layout = self._read()
        if layout.phase is not Phase.STEADY or not layout.retired:
            return False
        oldest = layout.retired[0]
        if oldest.closed_ms >= closed_before_ms or not self._are_empty(oldest.span, dead_too=True):
            return False
        if self._has_keys_of_scheduled_events(oldest.span):
            return False
        if not self._swap(text, layout._replace(retired=layout.retired[1:])):
            return False
        self._keep_counts(oldest.span, layout.span.first)
        return True

    def _keep_counts(self, span: Span, lane: int) -> None:
        """The counters of forgotten lanes go on in another: an app's sums never fall."""
        into = self._link.keyspace.lane(self._app, lane).counts
        for old in span.lanes:
            counts = self._link.keyspace.lane(self._app, old).counts
            found = self._link.run([("HGETALL", counts)])[0]
            found = () if is_wrong_type(found) else checked(found)
            pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
            counted = [(reason, as_count(count)) for reason, count in pairs]
            commands = [evalsha("count", (into,), (reason, count)) for reason, count in counted if count]
            for answer in self._link.run(commands) if commands else ():
                checked(answer)  # what was not added elsewhere stays
            self._link.call("DEL", counts)

    def _read(self) -> tuple[bytes, Layout]:
        commands: list[Command] = [
            ("SET", self._key, self._wanted, "NX"),
            ("GET", self._key),
            ("SADD", self._link.keyspace.apps, self._app),
        ]
        laid_out, text, _ = self._link.run(commands)
        if text is None:
            checked(laid_out)  # full, or a replica
            raise JournalUnavailable("the layout of the lanes is gone", stored=False)
        return text, self._layout_of(text)

    def _are_empty(self, span: Span, *, dead_too: bool = False) -> bool:
        """Whether nothing waits in any of these lanes or in their held channels.

        Each lane is seen at one moment: items move between its stream, its holds and its dead letters.
        """
        keyspace = self._link.keyspace
        answers = self._link.run([look_command(keyspace, self._app, lane) for lane in span.lanes])
        for lane, answer in zip(span.lanes, answers, strict=True):
            seen = read_look(answer, keyspace, self._app, lane)
            if seen.wrong or seen.age_ms >= 0 or seen.held or (dead_too and seen.dead):
                return False
        return True

    def _has_keys_of_scheduled_events(self, span: Span) -> bool:
        """Whether these lanes remember the key of an event that is not due yet (``schedule_once.lua``)."""
        lanes = [self._link.keyspace.lane(self._app, lane) for lane in span.lanes]
        time, *answers = self._link.run([("TIME",), *(("HGET", keys.state, "keys_until") for keys in lanes)])
        now_ms = int(checked(time)[0]) * 1000
        return any((as_count(checked(answer) or 0) or 0) > now_ms for answer in answers)

    def _mark(self, lane: int, what: str) -> Command:
        return evalsha("mark", (self._link.keyspace.lane(self._app, lane).state,), (what,))

    def _swap(self, before: bytes, after: Layout) -> bool:
        answer: Any = self._link.script("relayout", (self._key,), (before, after.text()))
        return bool(answer[0] == Answer.DONE)

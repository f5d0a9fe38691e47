"""The publishing side: what an application does, with the flights of a real day as its input.

The morning's schedule goes out with ``publish_many``, each update after it with ``publish.delay``. Uses
the public names of the package alone, as an application would.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ... import BacklogFull, Event, JournalUnavailable, publish, publish_many
from ..tally import Tally
from .board import Board
from .flights import ORIGINS, Departure
from .timetable import (
    NEW_DAY,
    BoardMessage,
    Numbering,
    airport_channel,
    day_messages,
    outcome_messages,
    schedule_messages,
    update_messages,
    updates,
)

__all__ = ["DayReplay", "publish_day", "publish_year"]

#: Seconds between looks at the clock: the page's own clock runs on by itself in between.
TICK_S = 0.2
#: Seconds that the board rests when a day is over, before the next begins.
NIGHT_S = 12.0
#: Seconds until an update that Redis refused is published again.
RETRY_S = 1.0


@dataclass
class DayReplay:
    """One day after another, ``speed`` times as fast as it was, until ``stop``."""

    day: Sequence[Departure]
    board: Board
    speed: float
    start_at: datetime
    stop: threading.Event
    warn: Callable[[str], None]

    def __post_init__(self) -> None:
        self._numbering = Numbering()
        self._updates = updates(self.day)
        self.clock = self.start_at

    def run(self) -> None:
        """Replay until stopped."""
        days = 0
        while not self.stop.is_set():
            self._open_day(first=days == 0)
            self._play_day()
            days += 1
            self.stop.wait(NIGHT_S)

    def _open_day(self, *, first: bool) -> None:
        """The schedule, and what had happened before the board's clock starts."""
        self.clock = self.start_at
        self._publish_many(() if first else self._new_day(), self.clock)
        self._publish_many(schedule_messages(self.day, self._numbering), self.clock)
        early = (update for update in self._updates if update.at <= self.start_at)
        self._publish_many((one for update in early for one in update_messages(update, self._numbering)), self.clock)

    def _new_day(self) -> Iterator[BoardMessage]:
        for origin in ORIGINS:
            channel = airport_channel(origin)
            at = self.start_at.isoformat(timespec="minutes")
            yield BoardMessage(channel, NEW_DAY, {"seq": self._numbering.next(channel), "at": at, "from": origin})

    def _play_day(self) -> None:
        began = time.monotonic()
        for update in self._updates:
            if update.at <= self.start_at:
                continue
            while (now := self.start_at + timedelta(seconds=(time.monotonic() - began) * self.speed)) < update.at:
                self.clock = now
                self.board.set_clock(now)
                left_s = (update.at - now).total_seconds() / self.speed
                if self.stop.wait(min(TICK_S, left_s)):
                    return
            for message in update_messages(update, self._numbering, sent_ms=time.time_ns() // 1_000_000):
                if not self._publish_one(message):
                    return
                self.board.apply((message,), update.at)

    def _publish_one(self, message: BoardMessage) -> bool:
        """Publish one update. While Redis is away, repeat it under the same key: it is stored once."""
        key = None
        while not self.stop.is_set():
            try:
                publish.delay(message.channel, message.name, message.data, key=key)
                return True
            except JournalUnavailable as error:
                key = error.message_id
                self.warn(f"Redis does not take events ({error}); trying again")
            except BacklogFull as error:
                self.warn(f"{error}; trying again")
            self.stop.wait(RETRY_S)
        return False

    def _publish_many(self, messages: Iterable[BoardMessage], clock: datetime) -> None:
        batch = list(messages)
        publish_many(Event(one.channel, one.name, one.data) for one in batch)
        self.board.apply(batch, clock)


def publish_day(day: Sequence[Departure], tally: Tally) -> None:
    """The whole day as fast as it goes: the schedule in bulk, each update by itself."""
    numbering = Numbering()
    publish_many(_events_of(schedule_messages(day, numbering), tally))
    for message in day_messages(day, numbering):
        tally.note_published(message.channel, message.text())
        publish.delay(message.channel, message.name, message.data)


def publish_year(flights: Iterable[Departure], tally: Tally) -> None:
    """One event for each departure of a long period, in bulk, without holding it in memory."""
    publish_many(_events_of(outcome_messages(flights, Numbering()), tally))


def _events_of(messages: Iterable[BoardMessage], tally: Tally) -> Iterator[Event]:
    """The events to publish, each counted in ``tally``."""
    for message in messages:
        text = message.text()
        tally.note_published(message.channel, text)
        yield Event(message.channel, message.name, text)

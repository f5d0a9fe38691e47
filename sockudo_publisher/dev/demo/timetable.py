"""The board's messages and their times: departures become updates, updates become numbered messages.

Everything here is a pure function of its arguments. The data says when a flight was due and when it
left; the moments in between (when a delay was announced, when boarding began) are not in it and are
derived by the rules below. Imports the room's own data alone.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

from .flights import ORIGINS, Departure

__all__ = [
    "AIRPORT_CHANNELS",
    "BoardMessage",
    "Numbering",
    "Status",
    "Update",
    "airport_channel",
    "carrier_channel",
    "carrier_channels",
    "day_messages",
    "outcome",
    "outcome_messages",
    "schedule",
    "schedule_messages",
    "update_messages",
    "updates",
]

Status = Literal["scheduled", "delayed", "boarding", "departed", "cancelled"]

#: A departure counts as late from here on (the Department of Transportation's own definition).
LATE_FROM_MIN = 15
#: A delay appears on the board this long before the scheduled time.
DELAY_NOTICE = timedelta(minutes=40)
#: A cancellation, likewise.
CANCEL_NOTICE = timedelta(minutes=45)
#: Boarding begins this long before the flight leaves.
BOARDING_LEAD = timedelta(minutes=25)

#: Event names on the airports' and carriers' channels.
SCHEDULE, STATUS, NEW_DAY = "schedule", "status", "new-day"


def airport_channel(origin: str) -> str:
    """The channel of one airport's board."""
    return f"departures-{origin}"


def carrier_channel(carrier: str) -> str:
    """The channel of one carrier's ticker."""
    return f"carrier-{carrier}"


AIRPORT_CHANNELS = tuple(airport_channel(origin) for origin in ORIGINS)


def carrier_channels(day: Iterable[Departure]) -> tuple[str, ...]:
    """The tickers that ``day`` needs, sorted."""
    return tuple(sorted({carrier_channel(flight.carrier) for flight in day}))


@dataclass(frozen=True, slots=True)
class Update:
    """At board time ``at`` flight ``number`` (its place in the day's list) has a new ``status``.

    ``expected`` is when it is now thought to leave; when it left, once it has; ``None`` if cancelled.
    """

    at: datetime
    number: int
    flight: Departure
    status: Status
    expected: datetime | None


def schedule(day: Iterable[Departure]) -> list[Update]:
    """The morning's schedule: every flight of the day, planned as if nothing could go wrong."""
    return [
        Update(flight.scheduled, number, flight, "scheduled", flight.scheduled) for number, flight in enumerate(day)
    ]


def updates(day: Iterable[Departure]) -> list[Update]:
    """Everything that then happened, in the order in which the board learns of it."""
    found = [update for number, flight in enumerate(day) for update in _life(number, flight)]
    found.sort(key=lambda update: (update.at, update.number))
    return found


def _life(number: int, flight: Departure) -> Iterator[Update]:
    if flight.departed is None:
        yield Update(flight.scheduled - CANCEL_NOTICE, number, flight, "cancelled", None)
        return
    if (flight.delay_min or 0) >= LATE_FROM_MIN:
        yield Update(flight.scheduled - DELAY_NOTICE, number, flight, "delayed", flight.departed)
    yield Update(flight.departed - BOARDING_LEAD, number, flight, "boarding", flight.departed)
    yield outcome(number, flight)


def outcome(number: int, flight: Departure) -> Update:
    """How it ended, in one update: departed or cancelled."""
    if flight.departed is None:
        return Update(flight.scheduled, number, flight, "cancelled", None)
    return Update(flight.departed, number, flight, "departed", flight.departed)


@dataclass(frozen=True, slots=True)
class BoardMessage:
    """One event to publish. ``data`` holds ``seq``, counted per channel from 1 without a gap."""

    channel: str
    name: str
    data: dict[str, Any] = field(repr=False)

    def text(self) -> str:
        """``data`` as a subscriber receives it: compact JSON, as the publisher encodes it."""
        return json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))


class Numbering:
    """Sequence numbers per channel: what a subscriber needs to notice a loss, a repeat or a swap."""

    def __init__(self) -> None:
        self._last: dict[str, int] = defaultdict(int)

    def next(self, channel: str) -> int:
        """The next number of ``channel``, from 1."""
        self._last[channel] += 1
        return self._last[channel]

    def last(self) -> dict[str, int]:
        """The latest number by channel."""
        return dict(self._last)


def schedule_messages(day: Iterable[Departure], numbering: Numbering) -> Iterator[BoardMessage]:
    """The schedule, on the airports' channels."""
    for update in schedule(day):
        yield _airport_message(SCHEDULE, update, numbering)


def update_messages(
    update: Update, numbering: Numbering, sent_ms: int | None = None
) -> tuple[BoardMessage, BoardMessage]:
    """One update as the board's and the ticker's message. ``sent_ms`` is the caller's clock, for latencies."""
    return _airport_message(STATUS, update, numbering, sent_ms), _carrier_message(update, numbering)


def day_messages(day: Iterable[Departure], numbering: Numbering) -> Iterator[BoardMessage]:
    """A whole day's updates, without waiting between them."""
    for update in updates(day):
        yield from update_messages(update, numbering)


def outcome_messages(flights: Iterable[Departure], numbering: Numbering) -> Iterator[BoardMessage]:
    """One message per departure, on its airport's channel: how it ended. For long periods."""
    for number, flight in enumerate(flights):
        yield _airport_message(STATUS, outcome(number, flight), numbering)


def _airport_message(name: str, update: Update, numbering: Numbering, sent_ms: int | None = None) -> BoardMessage:
    flight = update.flight
    channel = airport_channel(flight.origin)
    data: dict[str, Any] = {
        "seq": numbering.next(channel),
        "at": _minutes(update.at),
        "id": update.number,
        "flight": f"{flight.carrier} {flight.flight}",
        "airline": flight.carrier_name,
        "from": flight.origin,
        "to": flight.destination,
        "city": city(flight.destination),
        "airport": flight.destination_name,
        "tail": flight.tail,
        "scheduled": _minutes(flight.scheduled),
        "status": update.status,
        "expected": _minutes(update.expected),
    }
    if sent_ms is not None:
        data["sent_ms"] = sent_ms
    return BoardMessage(channel, name, data)


def _carrier_message(update: Update, numbering: Numbering) -> BoardMessage:
    flight = update.flight
    channel = carrier_channel(flight.carrier)
    return BoardMessage(
        channel,
        STATUS,
        {
            "seq": numbering.next(channel),
            "at": _minutes(update.at),
            "flight": f"{flight.carrier} {flight.flight}",
            "airline": flight.carrier_name,
            "from": flight.origin,
            "city": city(flight.destination),
            "status": update.status,
            "delay_min": None if update.expected is None else _whole_minutes(update.expected - flight.scheduled),
        },
    )


def _minutes(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="minutes")


def _whole_minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)


def city(destination: str) -> str:
    """What a board calls ``destination``; its code when it has no name here."""
    return _cities().get(destination, destination)


@lru_cache(maxsize=1)
def _cities() -> dict[str, str]:
    text = (resources.files("sockudo_publisher.dev.demo") / "data" / "cities.csv").read_text(encoding="utf-8")
    return {row["code"]: row["city"] for row in csv.DictReader(io.StringIO(text))}

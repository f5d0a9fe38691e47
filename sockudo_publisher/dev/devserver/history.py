"""Channel history in memory: append, read by page, reset, purge. Pure; the clock is an argument.

Facts: docs/server.md, 13. A cursor is valid for one query: its app, channel, direction, bounds and stream.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .refusal import Refusal

__all__ = ["Bounds", "Entry", "MessageHistory", "Page", "Query", "Stream", "invalid"]

#: Entries of one channel, and of all; then the oldest leave.
MAX_ENTRIES_OF_CHANNEL = 10_000
MAX_CHANNELS = 1_000
#: Bytes of the entries of one channel.
MAX_BYTES_OF_CHANNEL = 16 << 20
#: Characters of a cursor.
MAX_CURSOR = 16 * 1024

#: start_serial, end_serial, start_time_ms, end_time_ms.
Bounds = Mapping[str, int | None]


@dataclass(frozen=True)
class Entry:
    """One recorded message. ``fields`` is what is recorded beside its place."""

    serial: int
    at_ms: int
    fields: Mapping[str, Any]
    size: int


@dataclass
class Stream:
    """The entries of one channel. Its id changes with a reset."""

    stream_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    next_serial: int = 1
    size: int = 0
    entries: deque[Entry] = field(default_factory=deque)

    def retained(self, count_name: str) -> dict[str, Any]:
        """What is there, in the words of an answer."""
        oldest, newest = (self.entries[0], self.entries[-1]) if self.entries else (None, None)
        return {
            "stream_id": self.stream_id,
            count_name: len(self.entries),
            "retained_bytes": self.size,
            "oldest_available_serial": oldest and oldest.serial,
            "newest_available_serial": newest and newest.serial,
            "oldest_available_published_at_ms": oldest and oldest.at_ms,
            "newest_available_published_at_ms": newest and newest.at_ms,
        }

    def drop(self, is_dropped: Callable[[Entry], bool]) -> tuple[int, int]:
        """Remove entries. Returns how many, and their bytes."""
        kept = [entry for entry in self.entries if not is_dropped(entry)]
        dropped = len(self.entries) - len(kept)
        size = sum(entry.size for entry in kept)
        freed, self.entries, self.size = self.size - size, deque(kept), size
        return dropped, freed


@dataclass(frozen=True)
class Query:
    """One page that is asked for."""

    direction: str
    limit: int
    cursor: str | None
    bounds: Bounds

    def holds(self, entry: Entry) -> bool:
        """Whether the entry is within the bounds."""
        first, last = self.bounds["start_serial"], self.bounds["end_serial"]
        since, until = self.bounds["start_time_ms"], self.bounds["end_time_ms"]
        return (
            (first is None or entry.serial >= first)
            and (last is None or entry.serial <= last)
            and (since is None or entry.at_ms >= since)
            and (until is None or entry.at_ms <= until)
        )


@dataclass(frozen=True)
class Page:
    """The answer to a query."""

    entries: list[Entry]
    next_cursor: str | None


class MessageHistory:
    """The streams of one app. ``kind`` is the word in its errors: history, or presence history."""

    def __init__(
        self, app_id: str, kind: str = "history", now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._app_id = app_id
        self._kind = kind
        self._now_ms = now_ms
        self._streams: OrderedDict[str, Stream] = OrderedDict()

    def stream(self, channel: str) -> Stream:
        """The channel's stream; a new one if it has none."""
        stream = self._streams.get(channel)
        if stream is None:
            stream = self._streams[channel] = Stream()
            if len(self._streams) > MAX_CHANNELS:
                self._streams.popitem(last=False)
        return stream

    def append(self, channel: str, fields: dict[str, Any]) -> Entry:
        """Record a message. A message without an id gets one."""
        fields.setdefault("message_id", str(uuid.uuid4()))
        stream = self.stream(channel)
        size = len(json.dumps(fields, ensure_ascii=False).encode(errors="replace"))
        entry = Entry(stream.next_serial, self._now_ms(), fields, size)
        stream.next_serial += 1
        stream.size += size
        stream.entries.append(entry)
        while len(stream.entries) > MAX_ENTRIES_OF_CHANNEL or stream.size > MAX_BYTES_OF_CHANNEL:
            stream.size -= stream.entries.popleft().size
        return entry

    def forget(self) -> None:
        """Remove all streams."""
        self._streams.clear()

    def reset(self, channel: str) -> tuple[str, Stream, int, int]:
        """A new stream in place of the old. Returns the old id, the new stream, and what was removed."""
        old = self.stream(channel)
        self._streams[channel] = Stream()
        return old.stream_id, self._streams[channel], len(old.entries), old.size

    def read(self, channel: str, query: Query) -> Page:
        """One page. Raises :class:`Refusal` for a cursor of another query."""
        for first, last in (("start_serial", "end_serial"), ("start_time_ms", "end_time_ms")):
            start, end = query.bounds[first], query.bounds[last]
            if start is not None and end is not None and start > end:
                raise invalid(f"{first} must be less than or equal to {last}")
        after = None if query.cursor is None else self._place(channel, query)
        stream = self.stream(channel)
        is_newest_first = query.direction == "newest_first"
        entries: Iterable[Entry] = reversed(stream.entries) if is_newest_first else stream.entries
        page: list[Entry] = []
        for entry in entries:
            if after is not None and (entry.serial >= after if is_newest_first else entry.serial <= after):
                continue
            if query.holds(entry):
                if len(page) == query.limit:
                    return Page(page, self._cursor(channel, stream, page[-1], query))
                page.append(entry)
        return Page(page, None)

    def _cursor(self, channel: str, stream: Stream, last: Entry, query: Query) -> str:
        names = {"version": 1, "app_id": self._app_id, "channel": channel, "stream_id": stream.stream_id}
        fields = {**names, "serial": last.serial, "direction": query.direction, "bounds": dict(query.bounds)}
        return base64.urlsafe_b64encode(json.dumps(fields, separators=(",", ":")).encode()).rstrip(b"=").decode()

    def _place(self, channel: str, query: Query) -> int:
        """The serial in the query's cursor."""
        fields, kind = self._decoded(query.cursor or ""), self._kind
        if fields["version"] != 1:
            raise invalid(f"Unsupported {kind} cursor version: {fields['version']}")
        for name, verb, expected in (
            ("app", "does", self._app_id),
            ("channel", "does", channel),
            ("direction", "does", query.direction),
            ("bounds", "do", dict(query.bounds)),
        ):
            if fields["app_id" if name == "app" else name] != expected:
                raise invalid(f"{kind.capitalize()} cursor {name} {verb} not match the request")
        stream = self.stream(channel)
        if fields["stream_id"] != stream.stream_id:
            raise invalid(f"Expired {kind} cursor: channel stream changed")
        if stream.entries and fields["serial"] < stream.entries[0].serial:
            raise invalid(f"Expired {kind} cursor: cursor points before retained history")
        return int(fields["serial"])

    def _decoded(self, text: str) -> Mapping[str, Any]:
        if len(text) > MAX_CURSOR:
            raise invalid(f"{self._kind.capitalize()} cursor exceeds 16 KiB")
        try:
            fields = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        except (ValueError, binascii.Error, RecursionError):
            raise invalid(f"Invalid {self._kind} cursor: not a cursor of this server") from None
        kinds = {"version": int, "app_id": str, "channel": str, "stream_id": str, "serial": int, "direction": str}
        for name, kind in {**kinds, "bounds": dict}.items():
            if not isinstance(fields, dict) or not isinstance(fields.get(name), kind):
                raise invalid(f"Invalid {self._kind} cursor: missing field `{name}`")
        return fields  # type: ignore[no-any-return]  # JSON


def invalid(text: str) -> Refusal:
    """400 ``invalid_input``."""
    return Refusal(400, "invalid_input", text)

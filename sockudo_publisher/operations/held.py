"""The held channels: which they are, behind which event each waits, and when that event is tried again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..config.settings import Settings
from ..dead_event import read_fields
from ..errors import ValidationError
from ..journal.keys import QueueKeys
from ..journal.pack import VERSION, Pack, UnreadableEntry
from ..journal.redis.link import checked, read_scores
from ..journal.status import layout_in_force
from ..journal.unreadable import as_count, is_wrong_type
from ..redaction.frame_locals import without_locals
from .connection import OpenApp, open_app

__all__ = ["HeldChannel", "held_channels"]

#: Channels of one answer.
MAX_LIMIT = 10_000


@dataclass(frozen=True)
class HeldChannel:
    """A channel of which ``events`` wait behind a stuck one: Sockudo answers that another request has claimed it.

    ``event`` and ``message_id``: of the stuck event, empty if it cannot be read. ``since_s``: seconds since its first
    attempt, ``None``: unknown. ``retry_in_s``: seconds until it is tried again, 0.0 if that is due. ``failures``:
    drains of the channel in a row that ended in an error, the last one of the kind ``failure``.
    """

    app: str
    channel: str
    lane: int
    events: int
    event: str = ""
    message_id: str = ""
    since_s: float | None = None
    retry_in_s: float = 0.0
    failures: int = 0
    failure: str = ""


@without_locals
def held_channels(
    app: str | None = None, *, limit: int = 1000, settings: Settings | None = None
) -> tuple[HeldChannel, ...]:
    """At most ``limit`` (1 to 10,000) held channels of an app (default: that of ``SOCKUDO_URL``), by lane.

    Three round trips. Raises :class:`ValidationError` for another limit, :class:`ConfigurationError` for an app that is
    not known, and :class:`JournalUnavailable`.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise ValidationError(f"limit: expected 1 to {MAX_LIMIT}")
    opened = open_app(app, settings)
    lanes = layout_in_force(opened.link, opened.app, opened.settings.lanes).lanes
    holds = [opened.link.keyspace.lane(opened.app, lane) for lane in lanes]
    time, *answers = opened.link.run([("TIME",), *(("ZRANGE", one.holds, 0, -1, "WITHSCORES") for one in holds)])
    seconds, micros = checked(time)
    found = list(islice(_due_times(holds, answers), limit))
    return tuple(_read_channels(opened, found, int(seconds) * 1000 + int(micros) // 1000))


def _due_times(holds: Sequence[QueueKeys], answers: Sequence[Any]) -> Iterator[tuple[QueueKeys, int]]:
    for lane, answer in zip(holds, answers, strict=True):
        for channel, due_ms in () if is_wrong_type(answer) else read_scores(checked(answer)):
            yield lane.hold(channel), due_ms


def _read_channels(opened: OpenApp, found: Sequence[tuple[QueueKeys, int]], now_ms: int) -> Iterator[HeldChannel]:
    if not found:
        return
    commands: list[tuple[Any, ...]] = []
    for keys, _ in found:
        commands += [
            ("HMGET", keys.state, "depth", "failures", "failure"),
            ("XRANGE", keys.stream, "-", "+", "COUNT", 1),
        ]
    replies = opened.link.run(commands)
    for (keys, due_ms), state, entries in zip(found, replies[::2], replies[1::2], strict=True):
        depth, failures, failure = (None,) * 3 if is_wrong_type(state) else checked(state)
        first = () if is_wrong_type(entries) else checked(entries)
        entry_id, fields = (first[0][0], _by_name(first[0][1])) if first else (b"", {})
        event = _stuck_event(entry_id, fields)
        since_ms = as_count(fields.get(b"t") or 0) or as_count(entry_id.partition(b"-")[0] or 0)
        yield HeldChannel(
            opened.app,
            keys.channel or "",
            keys.lane,
            events=as_count(depth or 0) or 0,
            event=str(event.get("name", "")),
            message_id=str(event.get("message_id", "")),
            since_s=max(0, now_ms - since_ms) / 1000 if since_ms else None,
            retry_in_s=max(0, due_ms - now_ms) / 1000,
            failures=as_count(failures or 0) or 0,
            failure=(failure or b"").decode(errors="replace"),
        )


def _by_name(fields: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(fields[::2], fields[1::2], strict=True))


def _stuck_event(entry_id: bytes, fields: dict[bytes, bytes]) -> dict[str, Any]:
    """The first event of a held channel's queue; empty if it cannot be read."""
    size = as_count(fields.get(b"n") or 0) or 0
    if fields.get(b"v") != VERSION.encode() or not size:
        return {}
    try:
        item = Pack(entry_id, size, fields.get(b"m", b""), fields.get(b"b", b""), 0, size).item(0)
    except UnreadableEntry:
        return {}
    return read_fields(item.body) or {}

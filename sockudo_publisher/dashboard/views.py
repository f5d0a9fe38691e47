"""What is read from Redis, as values for JSON. No payload is among them, except in :func:`show_payload`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from ..canaries.verdict import summary
from ..operations import PROBLEMS, AppStatus, AuditEntry, DeadLetter, HeldChannel, ScheduledEvent, find_problems

__all__ = ["ENDED_BY", "MAX_PAYLOAD", "show_app", "show_audit", "show_letter", "show_payload", "show_scheduled"]

#: Characters of a payload that is shown: a page with megabytes of text helps no operator.
MAX_PAYLOAD: Final = 64_000

#: The counters that count delivered events.
_DELIVERED: Final = ("settled", "settled_by_history")

#: The counters of events that have left the lanes for good, delivered or not. The rate of stored events is computed of
#: them: stored = left + growth of the backlog.
ENDED_BY: Final = (
    *_DELIVERED,
    *("refused", "too_large", "conflict", "miscounted", "parked_uncertain", "expired", "collapsed", "unreadable"),
)


def show_app(status: AppStatus, held: Sequence[HeldChannel]) -> dict[str, Any]:
    """One app: its status, its problems with their meaning, its held channels, and the totals that rates are made of.

    ``totals``: ``backlog`` (waiting and held), ``delivered`` and ``ended`` (since the counters began), ``dead``.
    """
    values = asdict(status)
    del values["limits"]
    lanes = status.lanes
    ages = [lane.oldest_age_s for lane in lanes if lane.oldest_age_s is not None]
    return {
        **values,
        "lanes": [{**fields, "state": lane.state} for fields, lane in zip(values["lanes"], lanes, strict=True)],
        "problems": [{"name": name, "text": PROBLEMS[name]} for name in find_problems(status)],
        "memory_text": summary(status.memory),
        "held": [asdict(one) for one in held],
        "totals": {
            "backlog": sum(lane.depth + lane.held for lane in lanes),
            "waiting": sum(lane.depth for lane in lanes),
            "held": sum(lane.held for lane in lanes),
            "dead": sum(lane.dead for lane in lanes),
            "draining": sum(lane.is_draining for lane in lanes),
            "oldest_age_s": max(ages, default=None),
            "delivered": _sum(status.counters, _DELIVERED),
            "ended": _sum(status.counters, ENDED_BY),
        },
    }


def _sum(counters: Mapping[str, int], names: Sequence[str]) -> int:
    return sum(counters.get(name, 0) for name in names)


def show_letter(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter without its payload."""
    names = ("id", "app", "channel", "name", "message_id", "reason", "message", "attempts", "first_ms", "dead_ms")
    values = {name: getattr(letter, name) for name in names}
    return {
        **values,
        "size": letter.size,
        "maybe_delivered": letter.maybe_delivered,
        "is_replayable": letter.is_replayable,
    }


def show_payload(letter: DeadLetter) -> dict[str, Any]:
    """The data of a dead letter as text, at most :data:`MAX_PAYLOAD` characters; ``is_cut``: it is longer."""
    data = letter.data
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, indent=2)
    return {"id": letter.id, "text": text[:MAX_PAYLOAD], "is_cut": len(text) > MAX_PAYLOAD}


def show_scheduled(event: ScheduledEvent) -> dict[str, Any]:
    """A scheduled event."""
    return asdict(event)


def show_audit(entry: AuditEntry) -> dict[str, Any]:
    """An action of an operator."""
    return {**asdict(entry), "counts": None if entry.counts is None else dict(entry.counts)}

"""Which due events are appended now, in which order, and what follows from the answer. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from ...errors import IdempotencyConflict, JournalUnavailable
from ..appended import Refusal
from .event import ScheduledItem

__all__ = ["MAX_SKIPPED", "BucketReport", "ClaimResult", "Heads", "Placed"]
__all__ += ["due_buckets", "next_reports", "order_due", "outcome_of"]

#: Due events of one bucket that stay because their lanes are full, and that one pass looks beyond: events of other
#: lanes may be behind them.
MAX_SKIPPED = 2_000


class ClaimResult(Enum):
    """The result of a claimed event."""

    #: It is in its lane, and leaves the schedule.
    STORED = "stored"
    #: Its lane is full: it stays where it is, and may be cancelled.
    WAITS = "waits"
    #: It can never be stored: it stays for a person.
    PARKED = "parked"


class Heads(NamedTuple):
    """Redis' time, and the earliest due time of each bucket with scheduled events, both in ms."""

    now_ms: int
    due_ms: Mapping[int, int]


@dataclass
class BucketReport:
    """What a worker reports of one bucket, and asks of it: ``skipped`` due events stay and are passed over."""

    outcomes: list[tuple[ClaimResult, str]] = field(default_factory=list)
    skipped: int = 0
    claims: bool = True


class Placed(NamedTuple):
    """A due event and its bucket."""

    bucket: int
    event: ScheduledItem


def due_buckets(heads: Heads) -> list[int]:
    """The buckets with events that are due, the earliest first."""
    return sorted((bucket for bucket, due in heads.due_ms.items() if due <= heads.now_ms), key=heads.due_ms.__getitem__)


def order_due(
    events: Mapping[int, Sequence[ScheduledItem]], full: Collection[str]
) -> tuple[list[Placed], list[Placed]]:
    """The events to append, earliest first, and those that stay, of channels whose lanes are ``full``.

    A channel's events are in one bucket, in their order: the sort keeps it.
    """
    found = [Placed(bucket, event) for bucket, here in events.items() for event in here if event.item is not None]
    found.sort(key=lambda one: one.event.due_ms)
    return (
        [one for one in found if one.event.keyed_item.channel not in full],
        [one for one in found if one.event.keyed_item.channel in full],
    )


def outcome_of(refusal: Refusal | None) -> ClaimResult | None:
    """The result of an event by the answer of its append; ``None``: unknown, it stays claimed and is tried again."""
    if refusal is None:
        return ClaimResult.STORED
    if isinstance(refusal, IdempotencyConflict):
        return ClaimResult.PARKED
    if isinstance(refusal, JournalUnavailable) and refusal.stored is not False:
        return None
    return ClaimResult.WAITS


def next_reports(
    buckets: Collection[int],
    outcomes: Sequence[tuple[Placed, ClaimResult | None]],
    skipped: Mapping[int, int],
    *,
    claims: bool,
) -> dict[int, BucketReport]:
    """What to report of each bucket, and whether to claim more. Events that stay are passed over in this pass.

    A bucket of which too many events stay is given back.
    """
    reports = {bucket: BucketReport(skipped=skipped.get(bucket, 0), claims=claims) for bucket in buckets}
    for (bucket, event), outcome in outcomes:
        report = reports[bucket]
        if outcome is not None:
            report.outcomes.append((outcome, event.name))
        if outcome in (None, ClaimResult.WAITS):
            report.skipped += 1
    for report in reports.values():
        report.claims = report.claims and report.skipped < MAX_SKIPPED
    return reports

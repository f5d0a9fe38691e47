"""Store what is due: the events of the schedule whose time has come go to their lanes, as any caller's event does.

One worker for each app does this at a time. Every event is appended under its message id, once, and leaves the schedule
after that: a worker that dies in between leaves it to its successor, whose append stores nothing new.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence

from ..errors import BacklogFull, JournalUnavailable
from ..faultpoint import crash_point
from ..journal.appended import Appended, OnRefusal
from ..journal.pack import KeyedItem
from ..journal.redis.link import CALLER_TIMEOUT_S
from ..journal.schedule.due import LEASE_MS, RIGHT_MS, DueEvents
from ..journal.schedule.event import ScheduledItem
from ..journal.schedule.outcomes import (
    BucketReport,
    ClaimResult,
    Placed,
    due_buckets,
    next_reports,
    order_due,
    outcome_of,
)
from ..publishing.store import store
from ..redaction import package_logger, printable
from ..wiring.app import App, app_named

__all__ = ["EVERY_S", "DueMover"]

logger = package_logger("sockudo_publisher.due")

#: Seconds between two looks for what is due: half of it is the mean delay.
EVERY_S = 0.1

#: Seconds between two renewals of the right, and between two tries of a worker that does not have it.
RENEW_EVERY_S = 0.8

#: Seconds after which events whose lanes were full are tried again.
FULL_EVERY_S = 1.0

# Two renewals may fail without loss of the right.
assert EVERY_S < RENEW_EVERY_S
assert 3 * RENEW_EVERY_S < RIGHT_MS / 1000

#: Seconds for which a claim is surely valid when the append of its events begins: the append takes a caller's timeout
#: for each of its steps, of which there are five with one change of lanes.
MAX_CLAIM_AGE_S = 1.5
assert MAX_CLAIM_AGE_S + 5 * CALLER_TIMEOUT_S < LEASE_MS / 1000

#: Seconds between two log lines about the same trouble of one app.
LOG_AGAIN_S = 60.0


class DueMover:
    """One worker's part in storing the due events of one app."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._owner = uuid.uuid4().hex
        self._due: tuple[App, DueEvents] | None = None
        self._has_right = False
        self._renew_at = 0.0  # monotonic, as the others
        self._look_at = 0.0
        self._logged: dict[str, float] = {}

    def beat(self) -> int:
        """Store what is due now, if this worker has the right. Returns how many events were stored.

        Raises :class:`JournalUnavailable`; what was claimed is tried again by the next beat, of whichever worker.
        """
        due = self._events()
        if not self._keep_right(due) or time.monotonic() < self._look_at:
            return 0
        buckets = due_buckets(due.heads())
        return self._move(due, buckets) if buckets else 0

    def stop(self) -> None:
        """Give the right back, so that another worker follows at once."""
        if self._has_right:
            self._has_right = False
            self._events().drop_right(self._owner)

    def _events(self) -> DueEvents:
        app = app_named(self._name)
        if self._due is None or self._due[0] is not app:  # `configure` makes new apps
            self._due = app, DueEvents(app.journal.link, app.name)
        return self._due[1]

    def _keep_right(self, due: DueEvents) -> bool:
        """Whether this worker may look, for at least as long as a pass and the next renewal last."""
        now = time.monotonic()
        if now >= self._renew_at:
            self._renew_at = now + RENEW_EVERY_S
            self._has_right = False  # if the answer does not come
            self._has_right = due.take_right(self._owner)
        return self._has_right

    def _move(self, due: DueEvents, buckets: Sequence[int]) -> int:
        """One pass: claim, append, report, until nothing is due or only events of full lanes are."""
        stored = 0
        full: set[str] = set()
        reports: Mapping[int, BucketReport] = {bucket: BucketReport() for bucket in buckets}
        while reports:
            asked_at = time.monotonic()  # before the call, so that a slow answer makes no claim younger
            claims = due.claim(self._owner, reports)
            for bucket, failure in claims.failures.items():
                self._log(f"bucket {bucket}", "due events not claimed bucket=%d error=%s", bucket, failure)
            if not claims.events:
                break
            crash_point("claimed")
            if time.monotonic() - asked_at > MAX_CLAIM_AGE_S:
                # This process was frozen. Another worker may have had the events meanwhile, and one of them was
                # perhaps cancelled since. They stay claimed, and the next pass claims them again.
                break
            skipped = {bucket: reports[bucket].skipped for bucket in claims.events}
            outcomes, failed = self._append(claims.events, full)
            stored += sum(outcome is ClaimResult.STORED for _, outcome in outcomes)
            goes_on = failed is None and self._keep_right(due)
            reports = next_reports(claims.events, outcomes, skipped, claims=goes_on)
            if failed is not None:
                due.claim(self._owner, reports)
                raise failed
        if full:
            self._look_at = time.monotonic() + FULL_EVERY_S
            self._log("full", "due events wait for room in their lanes channels=%d", len(full))
        return stored

    def _append(
        self, events: Mapping[int, Sequence[ScheduledItem]], full: set[str]
    ) -> tuple[list[tuple[Placed, ClaimResult | None]], JournalUnavailable | None]:
        """Append claimed events. Returns the result of each, and the error of all if there is one."""
        for here in events.values():
            for event in here:
                if event.item is None:
                    self._log_parked(event, "its record in the schedule cannot be read")
        ready, waiting = order_due(events, full)
        outcomes: list[tuple[Placed, ClaimResult | None]] = [(one, ClaimResult.WAITS) for one in waiting]
        if not ready:
            return outcomes, None
        try:
            appended = self._store([one.event.keyed_item for one in ready])
        except BacklogFull:
            full.update(one.event.keyed_item.channel for one in ready)
            return outcomes + [(one, ClaimResult.WAITS) for one in ready], None
        except JournalUnavailable as error:
            return outcomes + [(one, outcome_of(error)) for one in ready], error
        for index, one in enumerate(ready):
            refusal = appended.refused.get(index)
            outcome = outcome_of(refusal)
            if outcome is ClaimResult.PARKED:
                self._log_parked(one.event, str(refusal))
            elif outcome is not ClaimResult.STORED:
                full.add(one.event.keyed_item.channel)
            outcomes.append((one, outcome))
        return outcomes, None

    def _store(self, items: Sequence[KeyedItem]) -> Appended:
        return store(app_named(self._name), items, on_refusal=OnRefusal.SKIP)

    def _log_parked(self, event: ScheduledItem, why: str) -> None:
        channel = "-" if event.item is None else event.item.channel
        fields = {"app": self._name, "channel": printable(channel), "message_id": printable(event.message_id)}
        logger.error(
            "scheduled event parked, an operator must cancel it app=%s channel=%s message_id=%s: %s",
            *(*fields.values(), why),
            extra=fields,
        )

    def _log(self, kind: str, text: str, *args: object) -> None:
        now = time.monotonic()
        if now >= self._logged.get(kind, 0.0):
            self._logged[kind] = now + LOG_AGAIN_S
            logger.warning("app=%s " + text, self._name, *args)

"""What is due, as the worker that stores it uses it: one worker for each app, and a lease for each bucket.

The right of the app says which worker looks. It expires, so a frozen worker may go on beside its successor. The lease
of a bucket, in the bucket's slot, decides then: a report of a worker that has lost it changes nothing. Both may append
one event meanwhile, which the ledger of its key prevents from being stored twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import JournalUnavailable, JournalUnreadable
from ...redaction import package_logger
from ..keys import BUCKETS
from ..redis.link import Command, RedisLink, checked, evalsha
from ..redis.scripts import Answer
from ..unreadable import is_wrong_type, wrong_keys
from .event import ScheduledItem, read_due, read_score
from .outcomes import BucketReport, ClaimResult, Heads

__all__ = ["LEASE_MS", "RIGHT_MS", "Claims", "DueEvents"]

logger = package_logger("sockudo_publisher.due")

#: Milliseconds that the right to store an app's due events lasts without renewal: a killed worker's successor waits
#: this long.
RIGHT_MS = 3_000

#: Milliseconds that a worker has a bucket for one claim: longer than the append of the claimed events can last.
LEASE_MS = 8_000

#: Events of a bucket that are claimed at once, and their bytes.
MAX_CLAIMED = 100
MAX_CLAIMED_BYTES = 256 * 1024


@dataclass
class Claims:
    """The due events of each bucket, earliest first. Other workers have the ``busy`` ones; ``failures`` by bucket."""

    events: dict[int, list[ScheduledItem]] = field(default_factory=dict)
    busy: set[int] = field(default_factory=set)
    failures: dict[int, JournalUnavailable] = field(default_factory=dict)


class DueEvents:
    """The due events of one app. All methods raise :class:`JournalUnavailable`."""

    def __init__(self, link: RedisLink, app: str) -> None:
        self._link = link
        self._app = app
        self._right = link.keyspace.app(app).due_holder

    def take_right(self, owner: str) -> bool:
        """Take or renew the right to store what is due; ``False``: another worker has it."""
        answer = self._link.script("take_right", (self._right,), (owner, RIGHT_MS))
        return bool(answer[0] == Answer.DONE)

    def drop_right(self, owner: str) -> None:
        """Drop the right, so that another worker can take it at once."""
        self._link.script("drop_right", (self._right,), (owner,))

    def heads(self) -> Heads:
        """When the first event of each bucket is due. A bucket that cannot be read is left out, and logged."""
        keys = [self._link.keyspace.bucket(self._app, bucket).times for bucket in range(BUCKETS)]
        commands: list[Command] = [("TIME",), *(("ZRANGE", key, 0, 0, "WITHSCORES") for key in keys)]
        time, *answers = self._link.run(commands)
        seconds, micros = checked(time)
        found: dict[int, int] = {}
        for bucket, answer in enumerate(answers):
            if is_wrong_type(answer):
                self._log_unreadable(keys[bucket])
                continue
            head = checked(answer)
            if head and (due_ms := read_score(head)) is not None:
                found[bucket] = due_ms
        return Heads(int(seconds) * 1000 + int(micros) // 1000, found)

    def claim(self, owner: str, reports: Mapping[int, BucketReport]) -> Claims:
        """Report the results of claimed events, and claim the next ones, in one round trip."""
        commands = [self._command(owner, bucket, report) for bucket, report in reports.items()]
        claims = Claims()
        for bucket, answer in zip(reports, self._link.run(commands) if commands else (), strict=True):
            try:
                code, *parts = checked(answer)
            except JournalUnavailable as error:
                claims.failures[bucket] = self._with_key(bucket, error)
                continue
            if code != Answer.DONE:
                claims.busy.add(bucket)
                continue
            found = [read_due(*parts[at : at + 5]) for at in range(0, len(parts), 5)]
            if found:
                claims.events[bucket] = found
        return claims

    def _command(self, owner: str, bucket: int, report: BucketReport) -> Command:
        keys = self._link.keyspace.bucket(self._app, bucket)
        most = MAX_CLAIMED if report.claims else 0
        args: list[Any] = [owner, LEASE_MS, report.skipped, most, MAX_CLAIMED_BYTES]
        args += _flat(report.outcomes)
        return evalsha("due", (keys.times, keys.items, keys.claimed, keys.lease), args)

    def _with_key(self, bucket: int, error: JournalUnavailable) -> JournalUnavailable:
        """The error, with the key of another type if that is its cause."""
        keys = self._link.keyspace.bucket(self._app, bucket)
        wrong = wrong_keys(self._link, keys[3:6]) if isinstance(error, JournalUnreadable) else ()
        return JournalUnreadable("; ".join(wrong), stored=error.stored) if wrong else error

    def _log_unreadable(self, key: str) -> None:
        logger.error("schedule not read app=%s key=%s error=another type of key", self._app, key)


def _flat(outcomes: Iterable[tuple[ClaimResult, str]]) -> list[str]:
    return [part for outcome, name in outcomes for part in (outcome.value, name)]

"""The schedule of one app, worked by hand: schedule, claim, report, cancel, and look at what Redis holds."""

from __future__ import annotations

from typing import Any

import redis

from sockudo_publisher.journal.appended import Appended
from sockudo_publisher.journal.keys import BUCKETS, BucketKeys, Keyspace, bucket_of
from sockudo_publisher.journal.pack import Item, KeyedItem
from sockudo_publisher.journal.producer import Producer
from sockudo_publisher.journal.redis.link import RedisLink
from sockudo_publisher.journal.schedule.book import ScheduleBook
from sockudo_publisher.journal.schedule.due import DueEvents
from sockudo_publisher.journal.schedule.event import ScheduledItem
from sockudo_publisher.journal.schedule.outcomes import BucketReport, ClaimResult
from sockudo_publisher.journal.schedule.writer import Schedule

PAST = 1_000
FUTURE = 4_000_000_000_000


class OneSchedule:
    """Of an app with one lane; ``max_events`` is its bound."""

    def __init__(self, url: str, app: str = "app", *, max_events: int = 0, lanes: int = 1, **options: Any) -> None:
        self.client = redis.Redis.from_url(url)
        self.app = app
        given = {"max_backlog": 0, "key_ttl_ms": 60_000, **options}
        self.producer = Producer(url, app, lanes=lanes, **given)
        self.schedule = Schedule(self.producer, max_events=max_events)
        self.link = RedisLink(url, timeout_s=4.0)
        self.due = DueEvents(self.link, app)
        self.book = ScheduleBook(self.link, app, lanes=lanes, key_ttl_ms=60_000)

    def keys(self, channel: str = "c") -> BucketKeys:
        return Keyspace().bucket(self.app, bucket_of(channel))

    def add(self, id: str, due_ms: int = PAST, *channels: str, fingerprint: str = "f") -> Appended:
        """An event whose body is its id."""
        items = [KeyedItem(Item(channel, id.encode()), id, fingerprint) for channel in channels or ("c",)]
        return self.schedule.add(items, due_ms)

    def claim(
        self, owner: str = "me", *outcomes: tuple[ClaimResult, str], channel: str = "c", **report: Any
    ) -> list[ScheduledItem] | None:
        """The claimed events of the channel's bucket; ``None``: another worker has it, or has had it."""
        bucket = bucket_of(channel)
        claims = self.due.claim(owner, {bucket: BucketReport(list(outcomes), **report)})
        for failure in claims.failures.values():
            raise failure
        return None if claims.busy else claims.events.get(bucket, [])

    def ids(self, channel: str | None = None) -> list[str]:
        return [event.message_id for event in self.book.events(channel)]

    def stored_keys(self) -> set[str]:
        """The names of the schedule's keys, without their tags."""
        found = {key.decode().rpartition("}:")[2] for key in self.client.scan_iter(f"sockudo:{{{self.app}:due*")}
        assert BUCKETS == 16
        return found

"""Scheduling: what happens between an application's call with a due time and the event being stored.

Each app has 16 buckets, by channel; the events of one call go to the buckets of their channels, one script call for
each, in one round trip. Nothing here retries: a failure names the items that are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import BacklogFull, IdempotencyConflict, JournalUnavailable, JournalUnreadable
from ..appended import Appended, Refusal
from ..keys import BUCKETS, BucketKeys, bucket_of
from ..pack import KeyedItem, pack
from ..producer import Producer
from ..redis.link import Command, checked, evalsha, is_out_of_memory
from ..redis.scripts import Answer
from ..unreadable import is_wrong_type, wrong_keys

__all__ = ["SCHEDULE_CONFLICT", "Schedule"]

#: Why an event is refused that has the id of another one.
SCHEDULE_CONFLICT = "key: scheduled before on this channel with another payload"


class Schedule:
    """The schedule of one app, as callers use it. ``max_events``: what may be scheduled at a time, 0 = no limit."""

    def __init__(self, producer: Producer, *, max_events: int) -> None:
        self._producer = producer
        self._link = producer.link
        self._max_events = max_events

    def add(self, items: Sequence[KeyedItem], due_ms: int) -> Appended:
        """Keep the items of one event, all under its message id, until ``due_ms`` (Redis' time).

        An item that is scheduled already, with the same payload, keeps its due time. What single items are refused
        with is in the answer. Raises :class:`JournalUnavailable` when Redis fails (``stored`` is ``None`` where some
        may be stored), and :class:`BacklogFull` when its memory is short or ``max_events`` are scheduled.
        """
        try:
            self._producer.check_memory()
            self._producer.layout()  # registers the app, so that an operator sees its events under whatever settings
            self._check_bound(len(items))
        except JournalUnavailable as error:
            error.stored = False  # a look stores nothing, answered or not
            raise
        parts: dict[int, list[int]] = {}
        for index, one in enumerate(items):
            parts.setdefault(bucket_of(one.channel), []).append(index)
        commands = [self._command(bucket, [items[index] for index in found], due_ms) for bucket, found in parts.items()]
        answers = self._producer.run_replicated(commands)
        count, refused = 0, dict[int, Refusal]()
        for (bucket, found), answer in zip(parts.items(), answers, strict=True):
            failure = self._failure(bucket, answer, found)
            if failure is None:
                count += len(found)
            else:
                refused.update(dict.fromkeys(found, failure))
        return Appended(count, (), (), refused)

    def _check_bound(self, count: int) -> None:
        """Raise :class:`BacklogFull` beyond the bound; calls at the same moment may exceed it by their number."""
        if not self._max_events:
            return
        answers = self._link.run([("ZCARD", self._keys(bucket).times) for bucket in range(BUCKETS)])
        scheduled = sum(0 if is_wrong_type(answer) else checked(answer) for answer in answers)
        if scheduled + count > self._max_events:
            raise BacklogFull(f"{scheduled} events are scheduled, limit {self._max_events} (SOCKUDO_MAX_SCHEDULED)")

    def _keys(self, bucket: int) -> BucketKeys:
        return self._link.keyspace.bucket(self._producer.app, bucket)

    def _command(self, bucket: int, items: Sequence[KeyedItem], due_ms: int) -> Command:
        keys, message_id = self._keys(bucket), items[0].key
        args: list[Any] = [message_id, due_ms]
        for item, _, fingerprint in items:
            packed = pack([item])
            args += (item.channel, fingerprint, packed.meta, packed.body)
        return evalsha("schedule", (keys.times, keys.items, keys.cancelled(message_id)), args)

    def _failure(self, bucket: int, answer: Any, found: Sequence[int]) -> Refusal | None:
        """Why a bucket has stored nothing, or perhaps nothing."""
        keys = self._keys(bucket)
        if is_out_of_memory(answer):
            return BacklogFull("Redis is full (maxmemory): nothing was stored")
        try:
            code = checked(answer)[0]
        except JournalUnreadable as error:
            wrong = wrong_keys(self._link, [keys.times, keys.items])
            return JournalUnreadable("; ".join(wrong), stored=error.stored) if wrong else error
        except JournalUnavailable as error:
            return error
        if code == Answer.CONFLICT:
            return IdempotencyConflict(SCHEDULE_CONFLICT, index=found[answer[1]])
        if code == Answer.UNREADABLE:
            return JournalUnreadable(f"{keys.items}: the record of this message id cannot be read", stored=False)
        return None
